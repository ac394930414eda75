"""The version of a stage's code: what it follows, and what it does not."""

from __future__ import annotations

import ast
import itertools
import shutil

import pytest

from wsgcn.nets.registry import BACKBONES, backbone_module
from wsgcn.stages import STAGES, stage_code, write_code
from wsgcn.store import code
from wsgcn.store.paths import Artifacts

STAGE = '''
"""What it does."""

from __future__ import annotations

from typing import TYPE_CHECKING

from wsgcn.room.core import total

if TYPE_CHECKING:
    from wsgcn.hints import Number

LIMIT = 3
"""Explains the limit."""


def run(value: Number, *, twice: bool = False) -> Number:
    """Adds."""
    from ..late import scale  # a comment

    return scale(total(value, LIMIT)) if twice else total(value, None)
'''
SOURCES = {
    "__init__.py": "",
    "hints.py": "Number = int\n",
    "late.py": "def scale(value):\n    return 2 * value\n",
    "other.py": "import wsgcn.room.stage\n",
    "room/__init__.py": '"""A room."""\n',
    "room/core.py": "def total(value, limit):\n    return value + (limit or 0)\n",
    "room/stage.py": STAGE,
}
"""A package in which ``room/stage.py`` uses ``room/core.py`` and, in a function, ``late.py``."""


@pytest.fixture
def version(tmp_path, monkeypatch):
    """Gives the version of the made-up stage, with some files of the package changed."""
    numbers = itertools.count()

    def version_of(changes=None):
        package = tmp_path / str(next(numbers)) / "wsgcn"
        for name, text in (SOURCES | (changes or {})).items():
            (package / name).parent.mkdir(parents=True, exist_ok=True)
            (package / name).write_text(text, encoding="utf-8")
        monkeypatch.setattr(code, "PACKAGE", package)
        return code.code_version("wsgcn.room.stage")

    return version_of


# ---------------------------------------------------------------- a made-up package


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("# a comment", "# another comment"),
        ("  # a comment", ""),
        ('"""Adds."""', '"""Adds up."""'),
        ('    """Adds."""\n', ""),
        ('"""What it does."""', ""),
        ('"""Explains the limit."""', '"""Explains it better."""'),
        ("LIMIT = 3", "\n\nLIMIT = (\n    3\n)\n"),
        ("    from wsgcn.hints import Number", "    from wsgcn.other import Number"),
    ],
)
def test_what_does_not_run_changes_no_version(version, old, new):
    assert old in STAGE
    assert version({"room/stage.py": STAGE.replace(old, new)}) == version()


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("LIMIT = 3", "LIMIT = 4"),
        ("LIMIT = 3", "LIMIT = 3.0"),
        ("LIMIT = 3", "LIMIT = '3'"),
        ("twice: bool = False", "twice: bool = True"),
        ("total(value, None)", "total(value, 0)"),
        ("total(value, None)", "total(value)"),
        ("import total", "import total as total_of"),
        ("LIMIT)) if twice", "LIMIT)) if not twice"),
    ],
)
def test_a_changed_statement_changes_the_version(version, old, new):
    assert old in STAGE
    assert version({"room/stage.py": STAGE.replace(old, new)}) != version()


@pytest.mark.parametrize("name", ["room/core.py", "late.py", "__init__.py", "room/__init__.py"])
def test_what_is_imported_counts_also_in_a_function_and_packages_around_it(version, name):
    assert version({name: "changed = True\n"}) != version()


@pytest.mark.parametrize("name", ["hints.py", "other.py", "room/new.py", "newer.py"])
def test_what_is_not_imported_or_only_for_types_does_not_count(version, name):
    assert version({name: "changed = True\n"}) == version()


def test_what_is_imported_beside_type_checking_counts(version):
    hints = "    from wsgcn.hints import Number\n"
    both = STAGE.replace(hints, f"    pass\nelse:\n{hints}")
    before = version({"room/stage.py": both})
    assert before != version()
    assert before != version({"room/stage.py": both, "hints.py": "Number = float\n"})


def test_modules_are_named_and_unknown_ones_refused(version):
    version()
    assert [*sorted(code.module_versions("wsgcn.room.stage"))] == [
        "wsgcn", "wsgcn.late", "wsgcn.room", "wsgcn.room.core", "wsgcn.room.stage",
    ]  # fmt: skip
    assert code.closure(["wsgcn.late"]) == {code.PACKAGE / "late.py", code.PACKAGE / "__init__.py"}
    with pytest.raises(ValueError, match=r"wsgcn has no module wsgcn\.nowhere"):
        code.code_version("wsgcn.nowhere")
    with pytest.raises(ValueError, match="no module numpy"):
        code.closure(["numpy"])


def test_relative_imports_are_followed_from_where_they_are():
    nodes = ast.parse("from . import a\nfrom .b import c\nfrom .. import d\nfrom ..e.f import g\nimport h.i").body
    assert code.imported_names(nodes, "wsgcn.room") == {
        "wsgcn.room", "wsgcn.room.a", "wsgcn.room.b", "wsgcn.room.b.c", "wsgcn", "wsgcn.d", "wsgcn.e.f", "wsgcn.e.f.g",
        "h.i",
    }  # fmt: skip


def test_fields_that_newer_pythons_add_leave_the_version_as_it_is(version, monkeypatch):
    """Python 3.12 gave functions and classes ``type_params``, an empty list, and others will come."""
    before, parse = version(), ast.parse

    def parse_as_later(*given):
        tree = parse(*given)
        for node in ast.walk(tree):
            node._fields = (*node._fields, "of_a_later_python", "and_another")
            node.of_a_later_python, node.and_another = [], None
        return tree

    monkeypatch.setattr(code.ast, "parse", parse_as_later)
    assert version() == before


def test_the_spelling_stays_what_it_was(version):
    """Another spelling would make everything again; it must be the same on every Python."""
    assert version() == "2121ca3e168f4744534d48e32cbf821a"


# ---------------------------------------------------------------- the real package


def test_a_new_file_or_a_comment_makes_nothing_again_and_a_statement_what_uses_it(tiny_params, tmp_path, monkeypatch):
    before, package = _versions(tiny_params), tmp_path / "wsgcn"
    shutil.copytree(code.PACKAGE, package, ignore=shutil.ignore_patterns("__pycache__", "presets"))
    (package / "nets" / "new.py").touch()
    for path in (*package.glob("nets/*.py"), *package.glob("propagate/*.py")):
        path.write_text("# a comment\n" + path.read_text(encoding="utf-8"), encoding="utf-8")
    refine = package / "crf" / "refine.py"
    refine.write_text(refine.read_text(encoding="utf-8") + "\nMORE = 1\n", encoding="utf-8")
    monkeypatch.setattr(code, "PACKAGE", package)
    after = _versions(tiny_params)
    assert {stage for stage, name in after if after[stage, name] != before[stage, name]} == {"crf"}


def _versions(params):
    names = {"all": [None], "variant": params.variants, "method": params.methods}
    return {
        (stage, name): stage_code(params, stage, name) for stage, one in STAGES.items() for name in names[one.runs_for]
    }


def test_no_stage_is_made_of_the_lists_of_all_kinds_or_of_others_backbones(tiny_params, tmp_path):
    """A new kind or backbone would make everything again; ``code/<stage>/<name>.txt`` says what it is made of."""
    artifacts = Artifacts(tmp_path / "artifacts")
    write_code(tiny_params, artifacts)
    used = backbone_module(tiny_params.segtrain["deeplab"].backbone)
    others = {backbone_module(name) for name in BACKBONES} - {used}
    found = sorted((artifacts.root / "code").rglob("*.txt"))
    assert len(found) == 2 + 4 * 2 + 5 * 4
    for path in found:
        version, *lines = path.read_text().splitlines()
        modules = {line.split()[1] for line in lines}
        assert len(version) == 32
        assert STAGES[path.parent.name].module in modules
        assert not modules & {"wsgcn.nets.registry", "wsgcn.params", "wsgcn.cli", *others}, path
        assert not {one for one in modules if one.endswith(".kinds")}, path


@pytest.mark.parametrize("name", BACKBONES)
def test_no_backbone_is_made_of_another(name):
    modules = set(code.module_versions(backbone_module(name)))
    assert modules & {backbone_module(one) for one in BACKBONES} == {backbone_module(name)}
