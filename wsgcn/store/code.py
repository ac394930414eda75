"""What code a result is made of: the modules that decide it, with all that they import, compared as syntax trees."""

from __future__ import annotations

import ast
import hashlib
from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path
from typing import TypeGuard

PACKAGE = Path(__file__).parents[1]
_NAME = PACKAGE.name
_ABOUT_CODE = (f"{_NAME}.stages", f"{_NAME}.store.code")
"""What finds out which code a result is made of decides no result: a new stage must not make every network again."""


def code_version(*modules: str) -> str:
    """Digest of some modules of this package and of all its modules that they import, as 32 hexadecimal digits.

    Comments, docstrings, blank lines and the layout change nothing, and neither do imports for type checking.

    Args:
        modules: dotted names, such as ``wsgcn.propagate.stage``.
    """
    digest = hashlib.sha256()
    for name, version in sorted(module_versions(*modules).items()):
        digest.update(f"{name} {version}\n".encode())
    return digest.hexdigest()[:32]


def module_versions(*modules: str) -> dict[str, str]:
    """Digest of each module that :func:`code_version` looks at, by dotted name."""
    return {module_name(path): _tree_digest(path) for path in closure(modules)}


def closure(modules: Iterable[str]) -> set[Path]:
    """The package's own files that these modules load, themselves included; imports inside functions count.

    Raises:
        ValueError: the package has no such module.
    """
    found: set[Path] = set()
    waiting = [file for name in modules for file in _required(name)]
    while waiting:
        path = waiting.pop()
        if path not in found and module_name(path) not in _ABOUT_CODE:
            found.add(path)
            waiting += _imported_files(path)
    return found


def module_name(path: Path) -> str:
    """The dotted name of one of the package's files."""
    parts = path.relative_to(PACKAGE.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def _required(name: str) -> list[Path]:
    files = _files_of(name)
    if not files:
        raise ValueError(f"{_NAME} has no module {name}")
    return files


def _files_of(name: str) -> list[Path]:
    """The file of a module and the ``__init__`` files of the packages around it; none for what is no module of ours."""
    parts = name.split(".")
    if parts[0] != _NAME:
        return []
    where = PACKAGE.parent.joinpath(*parts)
    own = [file for file in (where.with_suffix(".py"), where / "__init__.py") if file.is_file()]
    around = [PACKAGE.parent.joinpath(*parts[:end], "__init__.py") for end in range(1, len(parts))]
    return own and [*own, *around]


@cache
def _imported_files(path: Path) -> tuple[Path, ...]:
    package = module_name(path) if path.name == "__init__.py" else module_name(path).rpartition(".")[0]
    names = imported_names(_running(_parse(path)), package)
    return tuple(file for name in sorted(names) for file in _files_of(name))


def imported_names(nodes: Iterable[ast.AST], package: str) -> set[str]:
    """Every module that the import statements among the nodes may load, as dotted names.

    Args:
        nodes: of a syntax tree.
        package: dotted name of the package that the module is in, for relative imports.
    """
    names: set[str] = set()
    for node in nodes:
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                above = ".".join(package.split(".")[: -(node.level - 1) or None])
                base = f"{above}.{base}".strip(".")
            names |= {base, *(f"{base}.{alias.name}" for alias in node.names)}
    return names


def _running(tree: ast.AST) -> Iterator[ast.AST]:
    """Every node that can run: those in functions, but none under ``if TYPE_CHECKING``."""
    for node in ast.iter_child_nodes(tree):
        if _is_for_types(node):
            yield from (one for below in node.orelse for one in (below, *_running(below)))
        else:
            yield node
            yield from _running(node)


@cache
def _parse(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"), str(path))


@cache
def _tree_digest(path: Path) -> str:
    return hashlib.sha256(_spelled(_parse(path)).encode()).hexdigest()[:16]


def _spelled(node: object) -> str:
    """A syntax tree as text, without what never runs, places, and empty fields, which differ among Pythons."""
    if isinstance(node, ast.AST):
        fields = ((name, _without_texts(node, name, value)) for name, value in ast.iter_fields(node))
        shown = (f"{name}={_spelled(value)}" for name, value in fields if value not in (None, []))
        return f"{type(node).__name__}({','.join(shown)})"
    if isinstance(node, list):
        return f"[{','.join(_spelled(one) for below in node for one in _that_run(below))}]"
    return repr(node)


def _that_run(node: object) -> list[object]:
    """A node, or what is in its place when the program runs."""
    return list(node.orelse) if _is_for_types(node) else [node]


def _is_for_types(node: object) -> TypeGuard[ast.If]:
    return isinstance(node, ast.If) and ast.unparse(node.test) in ("TYPE_CHECKING", "typing.TYPE_CHECKING")


def _without_texts(node: ast.AST, name: str, value: object) -> object:
    """A field of a node; a body without docstrings."""
    documented = isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef)
    if documented and name == "body" and isinstance(value, list):
        return [one for one in value if not _is_text(one)]
    return value


def _is_text(node: ast.AST) -> bool:
    """Whether a statement is nothing but a text: a docstring, or one that explains the name above it."""
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)
