"""The rules of the layout, read from the sources."""

import ast
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import get_args

import pytest

from tests.conftest import ROOT
from wsgcn.store.code import imported_names

ROOMS = {"dataset", "cams", "affinity", "propagate", "crf", "segtrain", "evaluate", "export", "report"}
SLOW_TO_IMPORT = {"torch", "torch_geometric", "mlflow", "scipy", "pydensecrf"}
MAX_FUNCTION = 60
MAX_FILE = 220
FILES = sorted((ROOT / "wsgcn").rglob("*.py"))

each_file = pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))


def _module(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


@cache
def _tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text(), str(path))


def _package(path: Path) -> str:
    return _module(path) if path.name == "__init__.py" else _module(path).rpartition(".")[0]


@cache
def _all_imports(path: Path) -> set[str]:
    return imported_names(ast.walk(_tree(path)), _package(path))


def _tops(names: set[str]) -> set[str]:
    return {name.split(".")[0] for name in names}


def _at_import(nodes) -> list[ast.stmt]:
    """Statements that run when the module is imported: not those in functions or under TYPE_CHECKING."""
    found = []
    for node in nodes:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            continue
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            found += _at_import(node.orelse)
            continue
        found.append(node)
        found += _at_import(ast.iter_child_nodes(node))
    return found


def _loaded(path: Path, seen: set[Path]) -> set[str]:
    """Top-level names of everything that importing this file loads, through the package's own modules too."""
    if path in seen or not path.exists():
        return set()
    seen.add(path)
    names = imported_names(_at_import(_tree(path).body), _package(path))
    loaded = _tops(names)
    for name in names:
        parts = name.split(".")
        if parts[0] == "wsgcn":
            for end in range(1, len(parts) + 1):
                where = ROOT.joinpath(*parts[:end])
                loaded |= _loaded(where / "__init__.py", seen) | _loaded(where.with_suffix(".py"), seen)
    return loaded


def _calls(path: Path) -> list[ast.Call]:
    return [node for node in ast.walk(_tree(path)) if isinstance(node, ast.Call)]


def test_the_sources_are_found():
    assert len(FILES) > 10
    assert {path.name for path in (ROOT / "wsgcn").iterdir()} >= ROOMS


@each_file
def test_no_room_imports_another_room(path):
    room = path.relative_to(ROOT / "wsgcn").parts[0]
    imported = {name.split(".")[1] for name in _all_imports(path) if name.startswith("wsgcn.")} & ROOMS
    if room in ROOMS:
        assert imported <= {room}
    elif room not in ("cli", "__main__.py", "params.py", "methods.py", "bench", "weights"):
        assert not imported, "only the command line, the parameters, what times the rooms and fills networks know them"


@each_file
def test_only_one_place_imports_mlflow_pydensecrf_and_ray(path):
    tops = _tops(_all_imports(path))
    assert ("mlflow" in tops) <= _module(path).startswith("wsgcn.tracking.")
    assert ("pydensecrf" in tops) <= (_module(path) == "wsgcn.ops.densecrf")
    assert ("ray" in tops) <= (_module(path) == "wsgcn.runtime.cluster")
    assert "torchvision" not in tops


@each_file
def test_nothing_unsafe_is_called(path):
    for call in _calls(path):
        name = ast.unparse(call.func)
        assert name not in ("eval", "exec", "os.system", "pickle.load", "pickle.loads"), ast.unparse(call)
        assert not name.endswith(".cuda"), ast.unparse(call)
        given = {keyword.arg: ast.unparse(keyword.value) for keyword in call.keywords}
        assert given.get("shell") in (None, "False"), ast.unparse(call)
        assert given.get("allow_pickle") in (None, "False"), ast.unparse(call)
        assert given.get("weights_only") in (None, "True"), ast.unparse(call)
        if name in ("np.load", "numpy.load"):
            assert given.get("allow_pickle") == "False", ast.unparse(call)
        if name == "torch.load":
            assert given.get("weights_only") == "True", ast.unparse(call)


@each_file
def test_no_bare_except(path):
    handlers = [node for node in ast.walk(_tree(path)) if isinstance(node, ast.ExceptHandler)]
    assert all(handler.type is not None for handler in handlers)


@each_file
def test_functions_are_short(path):
    functions = [node for node in ast.walk(_tree(path)) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)]
    long = {
        one.name: one.end_lineno - one.lineno + 1 for one in functions if one.end_lineno - one.lineno >= MAX_FUNCTION
    }
    assert long == {}


def _docstring_lines(tree: ast.Module) -> set[int]:
    lines = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str):
            lines |= set(range(node.lineno, node.end_lineno + 1))
    return lines


@each_file
def test_files_are_short(path):
    """Lines of code count: not blank ones, comments or docstrings."""
    docstrings = _docstring_lines(_tree(path))
    lines = enumerate(path.read_text().splitlines(), 1)
    code = [line for number, line in lines if line.strip() and line.strip()[0] != "#" and number not in docstrings]
    assert len(code) <= MAX_FILE


@each_file
def test_nobody_but_the_parameters_asks_which_variant_method_or_kind_it_is(path):
    """Adding one is one file and one entry: whoever needs to know something of a kind asks the kind."""
    asked = ("kind", "variant", "propagation", "method")
    compared = [node for node in ast.walk(_tree(path)) if isinstance(node, ast.Compare)]
    texts = {
        ast.unparse(node)
        for node in compared
        for side in (node.left, *node.comparators)
        if isinstance(side, ast.Constant) and isinstance(side.value, str)
        for other in (node.left, *node.comparators)
        if isinstance(other, ast.Attribute) and other.attr in asked and "dtype" not in ast.unparse(other)
    }
    assert texts == set() or path.name in ("params.py", "published.py")


def test_ops_are_pure():
    """Functions of arrays: no processes, no threads, no disk, no random state of their own."""
    impure = {
        "os",
        "pathlib",
        "tempfile",
        "shutil",
        "subprocess",
        "threading",
        "multiprocessing",
        "concurrent",
        "random",
    }
    for path in (ROOT / "wsgcn" / "ops").glob("*.py"):
        assert not _tops(_all_imports(path)) & impure, path.name
        assert not {name for name in _all_imports(path) if name.startswith(("wsgcn.store", "wsgcn.runtime"))}, path.name


def test_modules_are_imported_by_name_only_where_the_list_of_backbones_must_not_count():
    """What is imported so is not seen by the fingerprint of the code: the user of it must name it himself."""
    files = {str(path.relative_to(ROOT / "wsgcn")) for path in FILES if "importlib" in _tops(_all_imports(path))}
    named = {"nets/build.py", "sections.py", "tracking/packed.py", "weights/layouts.py"}
    assert files <= named | {"runtime/node.py"}  # which asks for versions alone


@pytest.mark.parametrize("room", ["dataset", "cams", "affinity", "propagate", "crf"])
def test_every_kind_has_a_file_and_a_word_of_its_own(room):
    kinds = import_module(f"wsgcn.{room}.kinds").KINDS
    words = [get_args(kind.model_fields["kind"].annotation) for kind in kinds]
    assert all(len(word) == 1 for word in words)
    assert len(set(words)) == len({kind.__module__ for kind in kinds}) == len(kinds)
    for kind in kinds:
        assert kind.__module__.startswith(f"wsgcn.{room}.")
        assert kind.__doc__


def test_command_line_loads_nothing_slow():
    path = ROOT / "wsgcn" / "cli" / "__init__.py"
    assert _loaded(path, set()) & SLOW_TO_IMPORT == set()


@pytest.mark.parametrize(
    "name", ["params", "errors", "vocabulary", "stages", "preset", "project", "weights/names", "nets/registry"]
)
def test_light_floor_loads_nothing_slow(name):
    assert _loaded(ROOT / "wsgcn" / f"{name}.py", set()) & SLOW_TO_IMPORT == set()


def test_the_reader_of_imports_sees_through_modules():
    assert "torch" in _loaded(ROOT / "wsgcn" / "runtime" / "devices.py", set())
    assert "numpy" in _loaded(ROOT / "wsgcn" / "store" / "records.py", set())
