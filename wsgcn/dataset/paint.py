"""Pictures of the built-in demo, drawn from random numbers: their classes are told by a part.

Every object is a *body* with an *emblem*. The figure on the emblem alone tells the class; bodies, colours, textures
and backgrounds are drawn alike for all classes. So a classifier looks at the emblem, its activation map covers little
more, and it is left to propagation to find the body: the difficulty of weak supervision, in small.

A *level* is a map ``(H, W)`` that is negative inside a shape and grows with the distance to its outline.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scipy.ndimage import maximum_filter, minimum_filter

from wsgcn.runtime.seeds import seed_for
from wsgcn.vocabulary import IGNORE

Map = NDArray[np.float64]

TWO_CLASSES = 0.45  # share of pictures that show two classes
TWINS = 0.1  # share that shows two objects of one class
HEIGHT = (0.5, 0.75)  # of an object, in heights of the picture
HIDDEN = 0.06  # share of an object that may lie over another
SHARPNESS = 7.0  # of the figure's edge: it fades over 1/7 of the emblem's radius
CONTRAST = 75.0  # least RGB distance between a body and the background near it

FIGURES: tuple[Callable[[Map, Map], Map], ...] = (
    lambda u, v: u,  # half
    lambda u, v: 0.24 - np.minimum(abs(u), abs(v)),  # cross
    lambda u, v: np.cos(2.5 * np.pi * u),  # stripes
    lambda u, v: np.sin(1.75 * np.pi * u) * np.sin(1.75 * np.pi * v),  # checker
    lambda u, v: 0.2 - abs(np.hypot(u, v) - 0.56),  # ring
)
"""What an emblem shows, by class id - 1: positive in the figure; u, v in [-1, 1] are coordinates on the emblem."""


@dataclass(frozen=True)
class DemoPicture:
    """A picture with what it shows.

    Attributes:
        rgb_u8: ``(H, W, 3)`` uint8.
        mask: ``(H, W)`` uint8 class ids, 255 along outlines.
        class_ids: class of each of its objects, one or two.
    """

    rgb_u8: NDArray[np.uint8]
    mask: NDArray[np.uint8]
    class_ids: tuple[int, ...]


def draw_picture(image_id: str, number: int, height: int, width: int, seed: int) -> DemoPicture:
    """Draw one picture; it depends on these arguments and on nothing else.

    Args:
        image_id: with ``seed`` it decides every random number.
        number: place in its split; the first class goes round with it, so that classes are balanced.
        height: rows in pixels.
        width: columns in pixels.
        seed: of the demo.
    """
    rng = np.random.default_rng(seed_for(seed, image_id))
    class_ids = _choose_classes(rng, 1 + number % len(FIGURES))
    rgb = _background(rng, height, width)
    owners = np.zeros((height, width), dtype=np.intp)  # 0, or 1 + position of the object on top
    for position, class_id in enumerate(class_ids):
        shape = _find_room(rng, owners)
        rgb = _paint(rng, rgb, shape, class_id)
        owners[shape.inside] = position + 1
    mask = np.array([0, *class_ids], dtype=np.uint8)[owners]
    mask[maximum_filter(owners, 3) != minimum_filter(owners, 3)] = IGNORE  # two pixels wide, much as in VOC
    rgb = rgb + rng.normal(0, 4, rgb.shape)  # grain
    return DemoPicture(rgb.clip(0, 255).round().astype(np.uint8), mask, class_ids)


def _choose_classes(rng: np.random.Generator, first: int) -> tuple[int, ...]:
    others = [class_id for class_id in range(1, len(FIGURES) + 1) if class_id != first]
    chance, other = rng.random(), int(rng.choice(others))
    if chance < TWO_CLASSES:
        return first, other
    return (first, first) if chance < TWO_CLASSES + TWINS else (first,)


# ---------------------------------------------------------------- shapes


@dataclass(frozen=True)
class _Shape:
    """Where an object lies.

    Attributes:
        body: level in pixels.
        emblem: level in pixels.
        u: ``(H, W)``, first coordinate on the emblem, in its radii.
        v: ``(H, W)``, second.
    """

    body: Map
    emblem: Map
    u: Map
    v: Map

    @property
    def inside(self) -> NDArray[np.bool_]:
        """The pixels of body and emblem."""
        return np.minimum(self.body, self.emblem) < 0


def _find_room(rng: np.random.Generator, owners: NDArray[np.intp]) -> _Shape:
    """Of some random shapes the first that lies over next to nothing of the others, or else the best."""
    best, least = None, np.inf
    for _ in range(40):
        shape = _random_shape(rng, *owners.shape)
        taken = owners > 0
        hidden = (shape.inside & taken).sum() / min(shape.inside.sum(), max(taken.sum(), 1))
        if hidden < least:
            best, least = shape, hidden
        if least < HIDDEN:
            break
    assert best is not None
    return best


def _random_shape(rng: np.random.Generator, height: int, width: int) -> _Shape:
    """An emblem above a body, turned and put anywhere inside the picture; 1 is half the object's height."""
    half = 0.5 * height * rng.uniform(*HEIGHT)
    rows, columns = np.mgrid[:height, :width] + 0.5
    x, y = _turned(
        (columns - rng.uniform(half, width - half)) / half,
        (rows - rng.uniform(half, height - half)) / half,
        rng.uniform(-1.2, 1.2),
    )
    radius = rng.uniform(0.36, 0.42)
    u, v = _turned(x - rng.uniform(-0.15, 0.15), y + 1 - radius, rng.uniform(0, np.pi))
    body = np.minimum(_torso(rng, x, y - 0.28), _limbs(rng, x, y - 0.3))
    return _Shape(body * half, (np.hypot(u, v) - radius) * half, u / radius, v / radius)


def _turned(x: Map, y: Map, angle: float) -> tuple[Map, Map]:
    return x * np.cos(angle) + y * np.sin(angle), y * np.cos(angle) - x * np.sin(angle)


def _torso(rng: np.random.Generator, x: Map, y: Map) -> Map:
    """Something between a lozenge, an ellipse and a box, with a wavy outline."""
    across, down, power = rng.uniform(0.44, 0.66), rng.uniform(0.56, 0.66), rng.uniform(1.3, 4)
    reach = (abs(x / across) ** power + abs(y / down) ** power) ** (1 / power)
    around = np.arctan2(y, x)
    waves = sum(rng.normal(0, 0.045) * np.cos(k * around + rng.uniform(0, 2 * np.pi)) for k in (2, 3, 5))
    return np.asarray((reach - 1 - waves) * min(across, down))


def _limbs(rng: np.random.Generator, x: Map, y: Map) -> Map:
    """Up to four straight limbs from the middle of the body, none towards the emblem."""
    level = np.full_like(x, np.inf)
    for _ in range(rng.integers(0, 5)):
        angle, length, thickness = rng.uniform(-0.4, np.pi + 0.4), rng.uniform(0.6, 0.85), rng.uniform(0.08, 0.13)
        along, aside = _turned(x, y, angle)
        level = np.minimum(level, np.hypot(along - along.clip(0, length), aside) - thickness)
    return level


# ---------------------------------------------------------------- colours


def _noise(rng: np.random.Generator, height: int, width: int, cell: int) -> Map:
    """Smooth noise ``(H, W)`` of standard deviation about 1, with bumps of ``cell`` pixels."""
    coarse = rng.normal(0, 1.4, (height // cell + 2, width // cell + 2)).astype(np.float32)
    return np.asarray(Image.fromarray(coarse).resize((width, height), Image.Resampling.BICUBIC), dtype=np.float64)


def _lay(rgb: Map, colour: Map, cover: Map) -> Map:
    """Lay a colour ``(3,)`` or a picture ``(H, W, 3)`` over ``rgb``, opaque where ``cover`` ``(H, W)`` is 1."""
    return rgb + cover[..., None] * (colour - rgb)


def _ramp(rng: np.random.Generator, height: int, width: int) -> Map:
    """A slope ``(H, W)`` from about 0 to about 1 in a random direction."""
    x, y = np.linspace(-0.5, 0.5, width), np.linspace(-0.5, 0.5, height)
    angle = rng.uniform(0, 2 * np.pi)
    return 0.5 + 0.8 * (x[None] * np.cos(angle) + y[:, None] * np.sin(angle))


def _background(rng: np.random.Generator, height: int, width: int) -> Map:
    """A gradient with coarse and fine texture, crossed by lines and strewn with blobs too small for objects."""
    ends = rng.uniform(30, 225, (2, 1)) + rng.uniform(-60, 60, (2, 3))  # paler than objects
    rgb = _lay(np.broadcast_to(ends[0], (height, width, 3)), ends[1], _ramp(rng, height, width))
    for cell, strength in ((height // 4, 16), (height // 10, 9), (3, 5)):
        rgb = rgb + _noise(rng, height, width, cell)[..., None] * rng.normal(0, strength, 3)
    rows, columns = np.mgrid[:height, :width] + 0.5
    for _ in range(rng.integers(3, 8)):
        _, aside = _turned(columns - width / 2, rows - height / 2, rng.uniform(0, np.pi))
        distance = abs(aside - rng.uniform(-0.4, 0.4) * width)
        rgb = _lay(rgb, rng.uniform(0, 255, 3), (rng.uniform(0.8, 2) - distance).clip(0, 0.7))
    for _ in range(rng.integers(6, 15)):
        centre, radii = rng.uniform(0, 1, 2) * (height, width), rng.uniform(0.012, 0.05, 2) * height
        level = np.hypot((rows - centre[0]) / radii[0], (columns - centre[1]) / radii[1]) - 1
        rgb = _lay(rgb, rng.uniform(0, 255, 3), (0.5 - level * radii.min()).clip(0, 0.8))
    return rgb


def _paint(rng: np.random.Generator, rgb: Map, shape: _Shape, class_id: int) -> Map:
    """Lay an object over the picture: the body first, the emblem on top."""
    height, width = shape.body.shape
    near = (shape.body > 0) & (shape.body < 8)
    colour = _unlike(rng, rgb[near].mean(axis=0))
    body = np.where(_noise(rng, height, width, 7)[..., None] > 0.9, rng.uniform(0, 255, 3), colour) * 0.6 + colour * 0.4
    body = body + 50 * (_ramp(rng, height, width)[..., None] - 0.5)
    body = body + _noise(rng, height, width, 4)[..., None] * rng.normal(0, 8, 3)
    rgb = _lay(rgb, body, (0.5 - shape.body).clip(0, 1))
    dark, light = rng.uniform(0, 95, 3), rng.uniform(160, 255, 3)
    plate, figure = (dark, light) if rng.random() < 0.5 else (light, dark)
    ink = (0.5 + SHARPNESS * FIGURES[class_id - 1](shape.u, shape.v)).clip(0, 1)
    emblem = _lay(np.broadcast_to(plate, rgb.shape), figure, ink)
    return _lay(rgb, emblem, (0.5 - shape.emblem).clip(0, 1))


def _unlike(rng: np.random.Generator, colour: Map) -> Map:
    """A random RGB colour at least :data:`CONTRAST` away from another."""
    candidates = rng.uniform(15, 240, (64, 3))
    return np.asarray(candidates[np.argmax(np.linalg.norm(candidates - colour, axis=1) > CONTRAST)])
