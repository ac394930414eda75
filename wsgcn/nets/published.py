"""Parameters by name, as projects publish them, and giving them our names."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence

from torch import Tensor

State = Mapping[str, Tensor]
"""Parameters by name."""

Converter = Callable[[State], State]
"""From the names and conventions of a published file to ours."""

Names = Sequence[tuple[str, str | Callable[[re.Match[str]], str]]]
"""Pattern at the beginning of a name, and what takes its place."""


def without_classifier(state: State) -> State:
    """The parameters as they are, less those of a classifier that a backbone does not have."""
    return {key: value for key, value in state.items() if not key.startswith(("fc.", "classifier."))}


def renamed(key: str, names: Names) -> str:
    """The key with the first pattern that it begins with replaced; unchanged where none does."""
    for pattern, replacement in names:
        if re.match(pattern, key):
            return re.sub(pattern, replacement, key, count=1)
    return key
