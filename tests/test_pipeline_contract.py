"""``dvc.yaml`` names what every stage reads, no more and no fewer, or results go stale in silence."""

from __future__ import annotations

import subprocess

import pytest
import yaml
from typer.testing import CliRunner

from tests import chain
from tests.conftest import ROOT, real_content
from wsgcn.affinity.base import AffinityKind
from wsgcn.cams.base import CamSource
from wsgcn.cli import app
from wsgcn.params import Params, load_params, parse_params
from wsgcn.preset import PRESETS, pipeline_text
from wsgcn.sections import Section
from wsgcn.stages import STAGES, write_code
from wsgcn.store.code import module_versions
from wsgcn.store.paths import Artifacts
from wsgcn.vocabulary import PRESET_FOLDER


def _leaves(content: object, path: str = "") -> set[str]:
    if not isinstance(content, dict):
        return {path}
    return {leaf for name, value in content.items() for leaf in _leaves(value, f"{path}.{name}".lstrip("."))}


ENTRIES = [entry for entry in chain.entries() if entry.stage != "code"]
PARAMS = load_params(ROOT / "params.yaml")
RUN = ("workers", "device", "engine", "address", "store", "store_gb")
RESULT_NEUTRAL = (*(f"runtime.{name}" for name in RUN), "tracking")
"""Parameters that change how work is done and shown, not what comes out: no stage is to run again for them."""

IN_THE_TEMPLATE = ("variants", "methods")
"""Names of entries: dvc.yaml puts them into the command, the parameters and the paths of a stage."""

KINDS = {path for path in _leaves(real_content()) if path.endswith(".kind")}
"""Which chose the classes whose methods ran."""

each_stage = pytest.mark.parametrize("stage", STAGES)


def test_every_stage_has_a_member_for_each_variant_or_method():
    assert list(dict.fromkeys(entry.stage for entry in ENTRIES)) == list(STAGES)
    for stage in STAGES:
        assert tuple(entry.name for entry in ENTRIES if entry.stage == stage) == chain.names_of(stage, PARAMS)


def test_every_member_runs_the_command_of_its_name():
    for entry in ENTRIES:
        option = {"all": [], "variant": ["--variant", entry.name], "method": ["--method", entry.name]}
        assert entry.cmd.split() == ["wsgcn", entry.stage, *option[STAGES[entry.stage].runs_for]]


def test_no_variant_or_method_is_named_in_the_pipeline():
    text = (ROOT / "dvc.yaml").read_text()
    body = "".join(line for line in text.splitlines(keepends=True) if not line.lstrip().startswith("#"))
    names = [*PARAMS.methods, *PARAMS.cams, *PARAMS.affinity, *PARAMS.propagate]
    assert {name for name in names if name in body} <= {"boundary"} & {"no such word"}


def test_what_a_stage_reads_from_another_is_an_output_there():
    made = {out for entry in chain.entries() for out in entry.outs}
    read = {dep for entry in ENTRIES for dep in entry.deps if dep.startswith("artifacts/")}
    unmade = {
        dep
        for dep in read
        if not any(dep == out or dep.startswith(f"{out}/") or out.startswith(f"{dep}/") for out in made)
    }
    assert unmade == set()


def test_outputs_do_not_overlap():
    made = sorted(out for entry in chain.entries() for out in entry.outs)
    assert not [(one, other) for one in made for other in made if other.startswith(f"{one}/")]
    assert len(set(made)) == len(made)


def test_a_second_round_depends_on_the_network_that_it_starts_from(tmp_path):
    content = real_content()
    content["cams"]["segmenter"] = {"kind": "segmenter", "train": {"backbone": "resnet-small"}, "infer": {}}
    network = "segtrain/PSA/checkpoint.pt"
    content["variants"]["P2"] = {"cams": "segmenter", "affinity": "affinitynet", "after": network}
    (tmp_path / "params.yaml").write_text(yaml.safe_dump(content))
    deps = {(one.stage, one.name): one.deps for one in chain.entries(params=tmp_path / "params.yaml")}
    assert f"artifacts/{network}" in deps["cams-train", "P2"]
    assert "artifacts/dataset/index.json" in deps["cams-train", "P"]
    assert "artifacts/cams-train/P2" in deps["cams", "P2"]


def test_masks_are_no_part_of_what_other_stages_depend_on():
    masks = PARAMS.evaluate.masks
    depending = {one.stage for one in ENTRIES for dep in one.deps if f"{masks}/".startswith(f"{dep}/")}
    assert depending == {"evaluate-labels", "evaluate"}


# ---------------------------------------------------------------- code


def test_every_member_depends_on_the_file_of_its_code(tmp_path):
    write_code(PARAMS, Artifacts(tmp_path / "artifacts"))
    written = {str(path.relative_to(tmp_path)) for path in (tmp_path / "artifacts").rglob("*.txt")}
    declared = {dep for entry in ENTRIES for dep in entry.deps if dep.startswith("artifacts/code")}
    assert declared == written
    for entry in ENTRIES:
        own = f"artifacts/code/{entry.stage}/{entry.name or entry.stage}.txt"
        assert [dep for dep in entry.deps if dep.startswith("artifacts/code")] == [own]


def test_the_code_of_a_stage_is_its_room_its_kind_and_its_backbone(tmp_path):
    write_code(PARAMS, Artifacts(tmp_path))

    def modules(stage: str, name: str) -> set[str]:
        lines = (tmp_path / "code" / stage / f"{name}.txt").read_text().splitlines()[1:]
        return {line.split()[1] for line in lines}

    walk, gcn = modules("propagate", "IRNet"), modules("propagate", "WSGCN-I")
    assert {"wsgcn.propagate.stage", "wsgcn.propagate.random_walk", "wsgcn.store.records"} <= walk
    assert "wsgcn.propagate.gcn" in gcn - walk
    assert not {one for one in walk | gcn if one.startswith(("wsgcn.nets", "wsgcn.cams", "wsgcn.tracking"))}
    classifier = modules("cams", "I")
    assert {one for one in classifier if one.startswith("wsgcn.nets.resnet")} == {
        "wsgcn.nets.resnet",
        "wsgcn.nets.resnet_small",
    }
    assert not {"wsgcn.nets.registry", "wsgcn.params", "wsgcn.cams.kinds", "wsgcn.nets.mobilenet_v2"} & classifier
    assert "wsgcn.nets.build" not in modules("evaluate-labels", "IRNet")
    assert "wsgcn.propagate.random_walk" in modules("evaluate-labels", "IRNet")


def test_code_files_of_a_method_that_is_gone_go_too(tmp_path):
    write_code(PARAMS, Artifacts(tmp_path))
    content = real_content()
    del content["methods"]["PSA"]
    write_code(parse_params(content, "test"), Artifacts(tmp_path))
    assert [path.stem for path in sorted((tmp_path / "code" / "crf").iterdir())] == ["IRNet", "WSGCN-I", "WSGCN-P"]


def test_a_weight_file_with_other_content_is_seen(tmp_path):
    weights = tmp_path / "weights.pt"
    content = real_content()
    content["cams"]["irnet"]["train"]["weights"] = str(weights)
    params = parse_params(content, "test")

    def written(stage: str, name: str) -> str:
        write_code(params, Artifacts(tmp_path))
        return (tmp_path / "code" / stage / f"{name}.txt").read_text()

    assert f"missing {weights}" in written("cams-train", "I")
    weights.write_bytes(b"one")
    first = written("cams-train", "I")
    weights.write_bytes(b"two")
    second = written("cams-train", "I")
    assert first != second
    assert str(weights) in second
    assert first.splitlines()[0] == second.splitlines()[0], "the code is the same"
    assert str(weights) not in written("cams-train", "P")


def test_what_was_evaluated_of_a_method_that_is_gone_goes(tmp_path):
    """The report depends on these folders as a whole, and a clone would not have what is left over."""
    artifacts = Artifacts(tmp_path)
    for name in ("PSA", "Gone"):
        for path in (
            artifacts.scores("evaluate", name),
            artifacts.scores("evaluate-labels", name),
            artifacts.losses(name),
        ):
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text("{}")
        artifacts.label_map("crf", name, "a").parent.mkdir(parents=True)
    write_code(PARAMS, artifacts)
    assert artifacts.scores("evaluate", "PSA").exists()
    assert artifacts.losses("PSA").exists()
    assert not artifacts.folder("evaluate", "Gone").exists()
    assert not artifacts.folder("evaluate-labels", "Gone").exists()
    assert not artifacts.losses("Gone").exists()
    assert artifacts.folder("crf", "Gone").exists(), "labels stay until DVC collects them"


def test_a_new_stage_makes_nothing_again():
    for stage in STAGES:
        for name in chain.names_of(stage, PARAMS):
            modules = module_versions(STAGES[stage].module)
            assert not {"wsgcn.stages", "wsgcn.store.code", "wsgcn.cli"} & modules.keys(), (stage, name)


@pytest.mark.parametrize("base", [CamSource, AffinityKind])
def test_a_kind_with_a_number_that_no_stage_depends_on_is_refused(base):
    with pytest.raises(TypeError, match="has gain: put it into train or infer"):
        type("Loud", (base,), {"__annotations__": {"gain": float}, "__module__": __name__})


# ---------------------------------------------------------------- parameters


class Recorder:
    """Stands for a section of the parameters and notes the dotted path of every value that is read."""

    def __init__(self, section: Section, path: str, seen: set[str]):
        self.__dict__.update(_section=section, _path=path, _seen=seen)

    @property
    def __class__(self):
        """The section's, so that isinstance and super answer as for the section itself."""
        return type(self._section)

    def __getattr__(self, name):
        if name in type(self._section).model_fields:
            return self._wrapped(getattr(self._section, name), f"{self._path}.{name}".lstrip("."))
        if name == "model_dump" or name.startswith("__"):
            raise AttributeError(name)
        found = getattr(type(self._section), name)
        if isinstance(found, property):
            return found.fget(self)
        return found.__get__(self) if callable(found) else found

    def _wrapped(self, value, path):
        if isinstance(value, Section):
            return Recorder(value, path, self._seen)
        if isinstance(value, dict):
            return {key: self._wrapped(one, f"{path}.{key}") for key, one in value.items()}
        self._seen.add(path)
        return value

    def model_dump(self, *, mode="python", include=None, exclude=frozenset(), context=None):
        """As pydantic's; every value that is not left out counts as read."""
        names = set(type(self._section).model_fields if include is None else include) - set(exclude or ())
        content = self._section.model_dump(mode="json", include=names)
        self._seen.update(_leaves(content, self._path) if content else ())
        return self._section.model_dump(mode=mode, include=names, context=context)

    def __eq__(self, other):
        return isinstance(other, Section) and self._section == getattr(other, "_section", other)

    def __hash__(self):
        return hash(self._section)


@pytest.fixture(scope="module")
def reads(tmp_path_factory) -> dict[tuple[str, str | None], set[str]]:
    """What each member of each stage reads of the parameters, on a demo of a few pictures."""
    root = tmp_path_factory.mktemp("reads")
    content = chain.shrunk(real_content(), root / "store")
    content["evaluate"]["masks"] = str(root / content["evaluate"]["masks"])
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
    allowed = (*entry.params, *RESULT_NEUTRAL, *IN_THE_TEMPLATE)
    undeclared = {path for path in reads[entry.stage, entry.name] if not any(_within(path, one) for one in allowed)}
    assert undeclared == set()


@each_stage
def test_every_parameter_that_is_declared_is_read(reads, stage):
    declared = {one for entry in ENTRIES if entry.stage == stage for one in entry.params}
    read = set().union(*(found for (name, _), found in reads.items() if name == stage)) | KINDS
    read |= {"tracking"} if stage == "report" else set()  # the command completes MLflow's runs beside the stage
    assert {one for one in declared if not any(_within(path, one) for path in read)} == set()


def test_no_number_of_the_file_is_idle(reads):
    read = set().union(*reads.values()) | KINDS
    idle = _leaves(real_content()) - read - {"runtime.address"}  # which the engine ray alone asks for
    assert {path for path in idle if not _within(path, "tracking")} == set()


def test_recorder_notes_values_dumps_and_what_methods_read():
    params = parse_params(real_content(), "test")
    seen: set[str] = set()
    recorder: Params = Recorder(params, "", seen)
    assert recorder.variant("P").cams.infer.stride == params.cams["psa"].infer.stride
    assert recorder.variant("P").affinity.graph_settings()["stride"] == 8
    segtrain = params.segtrain["deeplab"]
    assert recorder.segtrain["deeplab"].model_dump(exclude={"lr"}) == segtrain.model_dump(exclude={"lr"})
    others = set(type(segtrain).model_fields) - {"lr"}
    names = {"variants.P.cams", "variants.P.affinity", "variants.P.after", "cams.psa.infer.stride"}
    graph = {f"affinity.affinitynet.{one}" for one in ("kind", "infer.radius", "infer.whole_cells", "train.stride")}
    below = {f"segtrain.deeplab.optimiser.{one}" for one in segtrain.optimiser.model_dump()}
    below |= {f"segtrain.deeplab.check.{one}" for one in segtrain.check.model_dump()}
    assert seen == {*names, *graph, *(f"segtrain.deeplab.{one}" for one in others - {"optimiser", "check"}), *below}


# ---------------------------------------------------------------- the repository is its own demo project


def test_repository_is_what_init_writes(tmp_path):
    assert (ROOT / "params.yaml").read_bytes() == (ROOT / "wsgcn" / "presets" / "demo.yaml").read_bytes()
    assert (ROOT / "dvc.yaml").read_text() == pipeline_text("demo")
    subprocess.run(["git", "init", "--quiet", tmp_path / "made"], check=True)
    done = CliRunner().invoke(app, ["init", str(tmp_path / "made"), "--preset", "demo"])
    assert done.exit_code == 0, done.output
    plots = [f".dvc/plots/{path.name}" for path in (PRESET_FOLDER / "plots").iterdir()]
    for name in ("params.yaml", "dvc.yaml", ".dvcignore", ".dvc/config", *plots):
        assert (ROOT / name).read_text() == (tmp_path / "made" / name).read_text(), name


@pytest.mark.parametrize("preset", PRESETS)
def test_presets_are_valid_and_explain_every_number(preset):
    text = (PRESET_FOLDER / f"{preset}.yaml").read_text()
    params = parse_params(yaml.safe_load(text), preset)
    assert params.dataset.kind == ("demo" if preset == "demo" else "voc")
    assert set(params.evaluate.classes) <= set(params.dataset.classes)
