"""Pictures of the built-in demo, drawn from random numbers: animals in front of cluttered backgrounds.

What real photographs have, and what makes weak supervision hard in them, in small:

- An animal has a face and a *coat*. The figure on the face tells the class for sure; so does the mean colour of the
  coat, nearly, but that of one pixel only roughly: each class has hues of its own, which fur and light mix with others.
  So a classifier's activation map is strong on a part of an animal and weak on the rest.
- Head, body and limbs wear one coat, of one hue with dark patches, unlike the background next to it: the inside coheres
  and the outline shows. From the face propagation can find the body.
- Light falls on each from a side of its own, and the fur has strands of other shades. So a coat is not one colour: a
  CRF, which compares colours, cannot find the body by itself.
- Backgrounds are paler than coats, but cluttered with bright lines and blobs, and animals touch each other.
"""

from __future__ import annotations

import colorsys
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scipy.ndimage import maximum_filter, minimum_filter

from wsgcn.dataset.figures import DEMO, Figure, Map
from wsgcn.dataset.shapes import Range, Shape, find_room, turned
from wsgcn.runtime.seeds import seed_for
from wsgcn.vocabulary import IGNORE

TWO_CLASSES = 0.45  # share of pictures that show two classes
TWINS = 0.1  # share that shows two animals of one class
SHARPNESS = 7.0  # of the figure's edge: it fades over 1/7 of the face's radius
CONTRAST = 75.0  # least RGB distance between a coat and the background near it
LIGHT = 110.0  # RGB levels of a coat from the lit to the dark side of the picture
FUR = 25.0  # standard deviation of the RGB levels of strands
PATCHES = (0.45, 0.75)  # range of the brightness of a coat's dark patches, beside its own
INK = 60.0  # brightest that the ink of a figure is; most of a coat is brighter


@dataclass(frozen=True)
class Look:
    """What decides how pictures look, beside chance.

    Attributes:
        figures: on the face, by class id - 1.
        tall: range of an animal's height, in heights of the picture.
        hue_spread: standard deviation of a class's hues, in circles; with 1 the colour of a coat tells nothing.
        tint: largest difference of the background's gradient from grey, in RGB levels.
    """

    figures: Sequence[Figure] = DEMO
    tall: Range = (0.5, 0.75)
    hue_spread: float = 0.03
    tint: float = 15.0


@dataclass(frozen=True)
class DemoPicture:
    """A picture with what it shows.

    Attributes:
        rgb_u8: ``(H, W, 3)`` uint8.
        mask: ``(H, W)`` uint8 class ids, 255 along outlines.
        class_ids: class of each of its animals, one or two.
        faces: of each animal's face, class, row and column of its middle.
    """

    rgb_u8: NDArray[np.uint8]
    mask: NDArray[np.uint8]
    class_ids: tuple[int, ...]
    faces: tuple[tuple[int, int, int], ...]


def draw_picture(image_id: str, number: int, height: int, width: int, seed: int, look: Look = Look()) -> DemoPicture:
    """Draw one picture; it depends on these arguments and on nothing else.

    Args:
        image_id: with ``seed`` it decides every random number.
        number: place in its split; the first class goes round with it, so that classes are balanced.
        height: rows in pixels.
        width: columns in pixels.
        seed: of the demo.
        look: of animals and background.
    """
    rng = np.random.default_rng(seed_for(seed, image_id))
    classes = len(look.figures)
    class_ids = _choose_classes(rng, 1 + number % classes, classes)
    rgb = _background(rng, height, width, look.tint)
    owners = np.zeros((height, width), dtype=np.intp)  # 0, or 1 + position of the animal on top
    faces = []
    for position, class_id in enumerate(class_ids):
        shape = find_room(rng, owners > 0, look.tall)
        hues = (class_id - 1) / classes + look.hue_spread * rng.normal(0, 1, 64)
        coat = _coat(rng, rgb, shape, hues)
        coat = _with_figure(rng, coat, shape, look.figures[class_id - 1])
        faces.append((class_id, *shape.middle))
        rgb = _lay(rgb, coat, (0.5 - shape.outline).clip(0, 1))
        owners[shape.inside] = position + 1
    mask = np.array([0, *class_ids], dtype=np.uint8)[owners]
    mask[maximum_filter(owners, 3) != minimum_filter(owners, 3)] = IGNORE  # two pixels wide, much as in VOC
    rgb = rgb + rng.normal(0, 4, rgb.shape)  # grain
    return DemoPicture(rgb.clip(0, 255).round().astype(np.uint8), mask, class_ids, tuple(faces))


def _choose_classes(rng: np.random.Generator, first: int, classes: int) -> tuple[int, ...]:
    others = [class_id for class_id in range(1, classes + 1) if class_id != first]
    chance, other = rng.random(), int(rng.choice(others))
    if chance < TWO_CLASSES:
        return first, other
    return (first, first) if chance < TWO_CLASSES + TWINS else (first,)


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


def _background(rng: np.random.Generator, height: int, width: int, tint: float) -> Map:
    """A gradient with coarse and fine texture, crossed by lines and strewn with blobs too small for animals."""
    ends = rng.uniform(40, 215, (2, 1)) + rng.uniform(-tint, tint, (2, 3))
    rgb = _lay(np.broadcast_to(ends[0], (height, width, 3)), ends[1], _ramp(rng, height, width))
    for cell, strength in ((height // 4, 16), (height // 10, 9), (3, 5)):
        rgb = rgb + _noise(rng, height, width, cell)[..., None] * strength * (rng.normal(0, 1) + rng.normal(0, 0.3, 3))
    rows, columns = np.mgrid[:height, :width] + 0.5
    for _ in range(rng.integers(3, 8)):
        _, aside = turned(columns - width / 2, rows - height / 2, rng.uniform(0, np.pi))
        distance = abs(aside - rng.uniform(-0.4, 0.4) * width)
        rgb = _lay(rgb, rng.uniform(0, 255, 3), (rng.uniform(0.8, 2) - distance).clip(0, 0.7))
    for _ in range(rng.integers(6, 15)):
        centre, radii = rng.uniform(0, 1, 2) * (height, width), rng.uniform(0.012, 0.05, 2) * height
        level = np.hypot((rows - centre[0]) / radii[0], (columns - centre[1]) / radii[1]) - 1
        rgb = _lay(rgb, rng.uniform(0, 255, 3), (0.5 - level * radii.min()).clip(0, 0.8))
    return rgb


def _coat(rng: np.random.Generator, rgb: Map, shape: Shape, hues: NDArray[np.float64]) -> Map:
    """Colours of an animal, ``(H, W, 3)``: one of some hues, in circles, in some light, with dark patches."""
    height, width = shape.outline.shape
    near = (shape.outline > 0) & (shape.outline < 8)
    colour = _coat_colour(rng, rgb[near].mean(axis=0), hues)
    coat = colour + LIGHT * (_ramp(rng, height, width)[..., None] - 0.5)
    patches = (0.5 + 4 * (_noise(rng, height, width, 9) - 0.3)).clip(0, 1)
    coat = _lay(coat, coat * rng.uniform(*PATCHES), patches)
    return np.asarray(coat + _noise(rng, height, width, 4)[..., None] * rng.normal(0, FUR, 3))


def _with_figure(rng: np.random.Generator, coat: Map, shape: Shape, figure: Figure) -> Map:
    """The coat with a figure in dark ink on the face."""
    ink = np.minimum(figure(shape.u, shape.v), 1 - np.hypot(shape.u, shape.v))
    return _lay(coat, rng.uniform(0, INK, 3), (0.5 + SHARPNESS * ink).clip(0, 1))


def _coat_colour(rng: np.random.Generator, near: Map, hues: NDArray[np.float64]) -> Map:
    """A colour of the first of some hues, in circles, that is unlike the background ``(3,)`` near the animal."""
    rest = rng.uniform((0.4, 0.5), (0.9, 1), (len(hues), 2))
    colours = [colorsys.hsv_to_rgb(hue % 1, *others) for hue, others in zip(hues.tolist(), rest.tolist())]
    return _unlike(near, 255 * np.array(colours), CONTRAST)


def _unlike(colour: Map, candidates: Map, distance: float) -> Map:
    """The first of some RGB colours that is at least so far away from another."""
    return np.asarray(candidates[np.argmax(np.linalg.norm(candidates - colour, axis=1) > distance)])
