"""The page of troubleshooting quotes messages that the program has."""

import ast
import re

import pytest

from tests.conftest import ROOT

QUOTED = re.findall(r"^> (.+)$", (ROOT / "docs" / "troubleshooting.md").read_text(), re.MULTILINE)


def spoken() -> str:
    """Every text of the program, without its docstrings; what is filled in is a zero byte."""
    texts = []
    for path in (ROOT / "wsgcn").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.JoinedStr):
                texts.append(
                    "".join(
                        getattr(one, "value", None) if isinstance(one, ast.Constant) else "\0" for one in node.values
                    )
                )
            elif isinstance(node, ast.Constant) and isinstance(node.value, str) and not node.value.endswith("\n    "):
                texts.append(node.value)
    return "\n".join(texts)


SPOKEN = spoken()


def test_messages_are_quoted():
    assert len(QUOTED) > 10


@pytest.mark.parametrize("message", QUOTED)
def test_the_program_has_the_message(message):
    assert message in SPOKEN
