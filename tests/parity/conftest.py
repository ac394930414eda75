"""Importing modules of the public projects."""

import importlib
import sys
from types import ModuleType

import pytest

from tests.parity.public import PUBLIC


@pytest.fixture
def theirs(monkeypatch):
    """Imports a module of a public project; two of them may have the same name."""

    def load(project, module):
        if not (PUBLIC / project).is_dir():
            pytest.skip(f"{PUBLIC / project} is not there")
        monkeypatch.syspath_prepend(PUBLIC / project)
        return importlib.import_module(module)

    yield load
    for name in [name for name, module in sys.modules.items() if _is_public(module)]:
        del sys.modules[name]


def _is_public(module: ModuleType) -> bool:
    """A folder without __init__.py has no file, but places, which another project's folder of that name would get."""
    known = vars(module)
    places = [known.get("__file__"), *(known.get("__path__") or ())]
    return any(str(place).startswith(str(PUBLIC)) for place in places)


@pytest.fixture
def without(monkeypatch):
    """Puts something empty in the place of modules that the public code imports and does not need here."""

    class Empty(ModuleType):
        def __getattr__(self, name):
            if name.startswith("__"):
                raise AttributeError(name)
            return None

    def replace(*names):
        for name in names:
            monkeypatch.setitem(sys.modules, name, Empty(name))

    return replace
