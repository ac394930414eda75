"""Outlines of made-up animals, and finding room for them.

A *level* is a map ``(H, W)`` that is negative inside a shape and grows with the distance to its outline.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from wsgcn.dataset.figures import Map

Range = tuple[float, float]

HIDDEN = 0.06  # share of an animal that may lie over another
FACE = 0.85  # of the head's radius: so far goes the figure on it
COARSE = 4  # pixels a cell on which room is looked for


@dataclass(frozen=True)
class Shape:
    """Where an animal lies.

    Attributes:
        outline: level of body and head, in pixels.
        u: ``(H, W)``, first coordinate on the face, in its radii.
        v: ``(H, W)``, second.
    """

    outline: Map
    u: Map
    v: Map

    @property
    def inside(self) -> NDArray[np.bool_]:
        """The pixels of the animal."""
        return self.outline < 0

    @property
    def middle(self) -> tuple[int, int]:
        """Row and column of the middle of the face."""
        row, column = divmod(int(np.hypot(self.u, self.v).argmin()), self.u.shape[1])
        return row, column


def find_room(rng: np.random.Generator, taken: NDArray[np.bool_], tall: Range) -> Shape:
    """Of some random shapes the first that lies over next to nothing of what is taken ``(H, W)``, or else the best.

    Args:
        rng: decides which.
        taken: where other animals are.
        tall: range of its height, in heights of the picture.
    """
    height, width = taken.shape
    coarse = taken[::COARSE, ::COARSE]
    best, least = 0, np.inf
    for seed in rng.integers(2**62, size=40).tolist():
        inside = random_shape(seed, height, width, tall, COARSE).inside
        hidden = (inside & coarse).sum() / max(min(inside.sum(), coarse.sum()), 1)
        if hidden < least:
            best, least = seed, hidden
        if least < HIDDEN:
            break
    return random_shape(best, height, width, tall)


def random_shape(seed: int, height: int, width: int, tall: Range, step: int = 1) -> Shape:
    """A head above a body, turned and put anywhere inside the picture, seen at every ``step``-th pixel."""
    rng = np.random.default_rng(seed)
    half = 0.5 * height * rng.uniform(*tall)  # the unit of all that follows
    rows, columns = np.mgrid[:height:step, :width:step] + 0.5
    x, y = turned(
        (columns - rng.uniform(half, width - half)) / half,
        (rows - rng.uniform(half, height - half)) / half,
        rng.uniform(-1, 1),
    )
    radius = rng.uniform(0.36, 0.42)
    u, v = turned(x - rng.uniform(-0.15, 0.15), y + 1 - radius, rng.uniform(-0.4, 0.4))
    body = np.minimum(_torso(rng, x, y - 0.28), _limbs(rng, x, y - 0.3))
    face = FACE * radius
    return Shape(np.minimum(body, np.hypot(u, v) - radius) * half, u / face, v / face)


def turned(x: Map, y: Map, angle: float) -> tuple[Map, Map]:
    """Coordinates seen from axes that are turned by ``angle``."""
    return x * np.cos(angle) + y * np.sin(angle), y * np.cos(angle) - x * np.sin(angle)


def _torso(rng: np.random.Generator, x: Map, y: Map) -> Map:
    """Something between a lozenge, an ellipse and a box, with a wavy outline."""
    across, down, power = rng.uniform(0.44, 0.66), rng.uniform(0.56, 0.66), rng.uniform(1.3, 4)
    reach = (abs(x / across) ** power + abs(y / down) ** power) ** (1 / power)
    around = np.arctan2(y, x)
    waves = sum(rng.normal(0, 0.045) * np.cos(k * around + rng.uniform(0, 2 * np.pi)) for k in (2, 3, 5))
    return np.asarray((reach - 1 - waves) * min(across, down))


def _limbs(rng: np.random.Generator, x: Map, y: Map) -> Map:
    """Up to four straight limbs from the middle of the body, none towards the head."""
    level = np.full_like(x, np.inf)
    for _ in range(rng.integers(0, 5)):
        angle, length, thickness = rng.uniform(-0.4, np.pi + 0.4), rng.uniform(0.6, 0.85), rng.uniform(0.08, 0.13)
        along, aside = turned(x, y, angle)
        level = np.minimum(level, np.hypot(along - along.clip(0, length), aside) - thickness)
    return level
