"""The page of troubleshooting quotes messages that the program has."""

import ast
import re

import pytest

from tests.conftest import ROOT

QUOTED = re.findall(r"^> (.+)$", (ROOT / "docs" / "troubleshooting.md").read_text(), re.MULTILINE)
FILLED = "…"


def spoken() -> str:
    """Every text of the program, without its docstrings; what is filled in is an ellipsis."""
    texts = []
    for path in (ROOT / "wsgcn").rglob("*.py"):
        tree = ast.parse(path.read_text())
        said_alone = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
        for node in ast.walk(tree):
            if isinstance(node, ast.JoinedStr):
                parts = (one.value if isinstance(one, ast.Constant) else FILLED for one in node.values)
                texts.append("".join(map(str, parts)))
            elif isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in said_alone:
                texts.append(node.value)
    return "\n".join(texts)


SPOKEN = spoken()


def test_messages_are_quoted():
    assert len(QUOTED) > 10
    assert min(len(message.split()) for message in QUOTED) > 3


@pytest.mark.parametrize("message", QUOTED)
def test_the_program_has_the_message(message):
    assert message in SPOKEN
