"""Numbers of ``params.yaml``, each with its range: none is without one.

A slip of the finger is told before it fills the memory, runs for days or breaks native code.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any

from pydantic import Field, GetCoreSchemaHandler, GetJsonSchemaHandler
from pydantic_core import CoreSchema, PydanticCustomError, core_schema


@dataclass(frozen=True)
class Between:
    """Beside a number in an annotation: its range, with both ends unless ``below`` leaves the upper one out."""

    low: float
    high: float
    below: bool = False

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        """The type's own checks, and then the range."""
        return core_schema.no_info_after_validator_function(self._check, handler(source))

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        """The type's own schema with the range."""
        return {**handler(schema), "minimum": self.low, "exclusiveMaximum" if self.below else "maximum": self.high}

    def _check(self, number: float) -> float:
        if number < self.low or number > self.high or (self.below and number == self.high):
            said = f"from {self.low} to {'below ' if self.below else ''}{self.high}"
            raise PydanticCustomError(RANGE, "must be {range}", {"range": said})
        return number


RANGE = "range"
"""Type of the problem that a number is out of its range; its context has the range in words."""

Seed = Annotated[int, Between(0, 2**32 - 1)]
Positive = Annotated[int, Between(1, 1_000_000)]
Count = Annotated[int, Between(0, 1_000_000)]
Fraction = Annotated[float, Between(0, 1)]
BelowOne = Annotated[float, Between(0, 1, below=True)]
Share = Annotated[float, Between(0.001, 1)]
"""Of something that must not be nothing."""
Factor = Annotated[float, Between(0, 1000)]
Size = Annotated[float, Between(1e-6, 1e6)]
Rate = Annotated[float, Between(1e-9, 10)]
"""Of learning; the largest published one here is 0.1."""
Exponent = Annotated[float, Between(0.01, 1000)]
"""Of numbers in [0, 1]: beyond 1000 all but 1 are 0 in single precision."""
Scale = Annotated[float, Between(0.1, 10)]
"""Of a photograph: 10 makes a hundred pixels of one."""
Scales = Annotated[tuple[Scale, ...], Field(min_length=1, max_length=16)]
ScaleRange = tuple[Scale, Scale]
Pixels = Annotated[int, Between(32, 4096)]
"""Side of a square that a network sees at once; the backbones divide it by up to 32."""
Batch = Annotated[int, Between(1, 4096)]
"""Photographs or batches at once; whether memory is there for them is seen before a training begins."""
Side = Annotated[float, Between(32, 10_000)]
"""Longer side of a photograph, in pixels."""
Width = Annotated[int, Between(1, 4096)]
"""Channels of a layer."""
Cell = Annotated[int, Between(1, 64)]
"""Pixels a cell."""
Radius = Annotated[int, Between(2, 16)]
"""Cells; a node has 1.5 times its square as neighbours."""
Dilations = Annotated[tuple[Annotated[int, Between(1, 256)], ...], Field(min_length=1, max_length=16)]
"""Cells."""
Iterations = Annotated[int, Between(0, 100)]
"""Of mean-field inference, and the like, which settle in ten."""
Deviation = Annotated[float, Between(0.5, 10_000)]
"""Standard deviation of a dense CRF's kernel, in pixels or grey levels: below 0.5 it reaches no neighbour. At 1e-4
native code takes places of a photograph for one another, at 1e-6 it aborts."""
Megapixels = Annotated[float, Between(0.001, 178)]
"""Pillow refuses what is larger."""
WalkSteps = Annotated[int, Between(0, 4096)]
"""Sparse products; a walk of IRNet's or PSA's has 256, and one of thousands has forgotten where it began."""
