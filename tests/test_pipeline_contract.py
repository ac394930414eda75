"""``dvc.yaml`` names the code and the parameters of every stage: no more, no fewer, or results go stale in silence."""

from __future__ import annotations

import ast
import subprocess
from pathlib import Path

import pytest
import yaml
from typer.testing import CliRunner

from tests import chain
from tests.conftest import ROOT, real_content
from tests.test_architecture import _at_import, _imports, _package, _tree
from wsgcn import project
from wsgcn.cli import app
from wsgcn.params import Section, parse_params
from wsgcn.store.paths import Artifacts

ENTRIES = chain.entries()
STAGES = tuple(dict.fromkeys(entry.stage for entry in ENTRIES))
RESULT_NEUTRAL = ("runtime.workers", "runtime.device", "tracking")
"""Parameters that change how work is done and shown, not what comes out: no stage is to run again for them."""

each_stage = pytest.mark.parametrize("stage", STAGES)


def test_every_stage_has_a_member_for_each_variant_or_method():
    assert list(STAGES) == [*chain.UP_TO_CRF, "segtrain", "evaluate", "report"]
    for stage in STAGES:
        assert tuple(entry.name for entry in ENTRIES if entry.stage == stage) == chain.names_of(stage)


def test_every_member_runs_the_command_of_its_name():
    for entry in ENTRIES:
        words = entry.cmd.split()
        assert words[:2] == ["wsgcn", entry.stage]
        method = chain.METHODS.get(entry.name)
        options = [] if entry.name is None else ["--variant", method.variant if method else entry.name]
        assert words[2:] == options + (["--propagation", method.propagation] if method else [])


def test_what_a_stage_reads_from_another_is_an_output_there():
    made = {out for entry in ENTRIES for out in entry.outs}
    read = {dep for entry in ENTRIES for dep in entry.deps if dep.startswith("artifacts/")}
    unmade = {dep for dep in read if not any(dep == out or dep.startswith(f"{out}/") for out in made)}
    assert unmade == set()


# ---------------------------------------------------------------- code


def _covers(declared: str, path: str) -> bool:
    return path == declared or path.startswith(f"{declared}/")


def _closure(path: Path, seen: set[Path]) -> set[Path]:
    """The package's own files that a file imports, itself included, through other files too."""
    if path in seen:
        return seen
    seen.add(path)
    for name in _imports(_runs(_tree(path).body), _package(path)):
        where = ROOT.joinpath(*name.split("."))
        for file in (where.with_suffix(".py"), where / "__init__.py"):
            if name.split(".")[0] == "wsgcn" and file.exists():
                _closure(file, seen)
    return seen


def _runs(nodes) -> list[ast.AST]:
    """Every node that can run, those in functions included, none under TYPE_CHECKING."""
    found = []
    for node in nodes:
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            found += _runs(node.orelse)
            continue
        found.append(node)
        found += _runs(ast.iter_child_nodes(node))
    return found


def _imported_by(stage: str) -> set[str]:
    files = _closure(ROOT / "wsgcn" / chain.room(stage) / "stage.py", set())
    return {str(file.relative_to(ROOT)) for file in files} - {"wsgcn/__init__.py"}


def _declared_code(stage: str) -> set[str]:
    return {dep for entry in ENTRIES if entry.stage == stage for dep in entry.deps if dep.startswith("wsgcn/")}


@each_stage
def test_declared_code_is_what_the_stage_imports(stage):
    imported, declared = _imported_by(stage), _declared_code(stage)
    assert all((ROOT / one).exists() for one in declared)
    undeclared = {file for file in imported if not any(_covers(one, file) for one in declared)}
    assert undeclared == set(), "a change of these would leave stale results"
    unused = {one for one in declared if not any(_covers(one, file) for file in imported)}
    assert unused == set(), "a change of these would run the stage for nothing"


def test_reader_of_imports_sees_functions_and_leaves_type_checking_out(tmp_path):
    text = "if TYPE_CHECKING:\n import a\nelse:\n import b\ndef f():\n from c import d\nif x:\n import e\n"
    assert _imports(_runs(ast.parse(text).body), "p") == {"b", "c", "c.d", "e"}
    assert _imports(_at_import(ast.parse(text).body), "p") == {"b", "e"}


# ---------------------------------------------------------------- parameters


class Recorder:
    """Stands for a section of the parameters and notes the dotted path of every value that is read."""

    def __init__(self, section: Section, path: str, seen: set[str]):
        self.__dict__.update(_section=section, _path=path, _seen=seen)

    def __getattr__(self, name):
        if name in type(self._section).model_fields:
            value, path = getattr(self._section, name), f"{self._path}.{name}".lstrip(".")
            if isinstance(value, Section):
                return Recorder(value, path, self._seen)
            self._seen.add(path)
            return value
        if name == "model_dump" or name.startswith("__"):
            raise AttributeError(name)
        return getattr(type(self._section), name).__get__(self)

    def model_dump(self, exclude=frozenset()):
        """As pydantic's; every value that is not excluded counts as read."""
        self._seen.update(
            leaf
            for name in set(type(self._section).model_fields) - set(exclude)
            for leaf in _leaves({name: self._section.model_dump()[name]}, self._path)
        )
        return self._section.model_dump(exclude=set(exclude))

    def __eq__(self, other):
        return isinstance(other, Recorder) and self._section == other._section

    def __hash__(self):
        return hash(self._section)


def _leaves(content: object, path: str = "") -> set[str]:
    if not isinstance(content, dict):
        return {path}
    return {leaf for name, value in content.items() for leaf in _leaves(value, f"{path}.{name}".lstrip("."))}


@pytest.fixture(scope="module")
def reads(tmp_path_factory) -> dict[tuple[str, str | None], set[str]]:
    """What each member of each stage reads of the parameters, on a demo of a few pictures."""
    root = tmp_path_factory.mktemp("reads")
    content = chain.shrunk(real_content(), root / "devkit")
    seen: dict[tuple[str, str | None], set[str]] = {}
    for entry in ENTRIES:
        found = seen.setdefault((entry.stage, entry.name), set())
        params = Recorder(parse_params(content, "test"), "", found)
        chain.run_stage(entry.stage, entry.name, params, Artifacts(root / "artifacts"))
    return seen


def _within(path: str, section: str) -> bool:
    return path == section or path.startswith(f"{section}.")


@pytest.mark.parametrize("entry", ENTRIES, ids=lambda entry: "@".join(filter(None, (entry.stage, entry.name))))
def test_every_parameter_that_is_read_is_declared(reads, entry):
    allowed = (*entry.params, *RESULT_NEUTRAL)
    undeclared = {path for path in reads[entry.stage, entry.name] if not any(_within(path, one) for one in allowed)}
    assert undeclared == set()


@each_stage
def test_every_parameter_that_is_declared_is_read(reads, stage):
    declared = {one for entry in ENTRIES if entry.stage == stage for one in entry.params}
    read = set().union(*(found for (name, _), found in reads.items() if name == stage))
    assert {one for one in declared if not any(_within(path, one) for path in read)} == set()


def test_no_number_of_the_file_is_idle(reads):
    read = set().union(*reads.values())
    idle = _leaves(real_content()) - read
    assert {path for path in idle if not _within(path, "tracking")} == set()


def test_recorder_notes_values_dumps_and_what_methods_read():
    params = parse_params(real_content(), "test")
    seen: set[str] = set()
    recorder = Recorder(params, "", seen)
    assert recorder.cams.net("P").grid_stride == params.cams.P.grid_stride
    assert recorder.segtrain.model_dump(exclude={"lr"}) == params.segtrain.model_dump(exclude={"lr"})
    others = set(type(params.segtrain).model_fields) - {"lr"}
    assert seen == {"cams.P.grid_stride", *(f"segtrain.{one}" for one in others)}


# ---------------------------------------------------------------- the repository is its own demo project


def test_repository_is_what_init_writes(tmp_path):
    assert (ROOT / "params.yaml").read_bytes() == (ROOT / "wsgcn" / "presets" / "demo.yaml").read_bytes()
    assert (ROOT / "dvc.yaml").read_text() == project.pipeline_text("demo")
    subprocess.run(["git", "init", "--quiet", tmp_path / "made"], check=True)
    done = CliRunner().invoke(app, ["init", str(tmp_path / "made"), "--preset", "demo"])
    assert done.exit_code == 0, done.output
    for name in ("params.yaml", "dvc.yaml", ".dvcignore", ".dvc/config"):
        assert (ROOT / name).read_text() == (tmp_path / "made" / name).read_text(), name


@pytest.mark.parametrize("preset", project.PRESETS)
def test_presets_are_valid_and_explain_every_number(preset):
    text = (ROOT / "wsgcn" / "presets" / f"{preset}.yaml").read_text()
    params = parse_params(yaml.safe_load(text), preset)
    assert (params.dataset.demo is not None) == (preset == "demo")
    assert set(params.evaluate.classes) <= set(params.dataset.classes)
