"""Pictures for people: the labels of every step laid over the photograph, side by side or in rows."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from wsgcn.vocabulary import BACKGROUND, IGNORE, palette

Tile = tuple[str, NDArray[np.uint8]]
"""A caption and the ``(H, W, 3)`` picture under it."""

TILE_HEIGHT = 210  # pixels; six tiles of a 4:3 photograph stay readable across a wide screen
MARGIN = 10  # pixels
LINE = 22  # pixels, height of a line of text
CAPTION = 200  # pixels; beside a narrower tile there is room for so much of its caption
TEXT = (32, 36, 44)
LABEL_ALPHA = 0.55
HEAT_ALPHA = 0.6
HEAT = np.array([[13, 8, 70], [92, 18, 125], [187, 55, 84], [249, 142, 9], [252, 255, 164]], dtype=np.float64)
"""Anchor colours from cold to hot, dark to bright so that they survive a grey print."""


def choose(image_ids: Sequence[str], count: int) -> list[str]:
    """At most ``count`` ids, evenly spaced over the list, always the same for the same list."""
    if count == 0 or not image_ids:
        return []
    positions = np.linspace(0, len(image_ids) - 1, min(count, len(image_ids))).round().astype(int)
    return [image_ids[position] for position in positions]


def label_overlay(rgb_u8: NDArray[np.uint8], labels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Tint a photograph by class: background goes dark, unlabelled goes white; classes have a border.

    The border is the class's colour at full brightness: some classes of the palette are almost as dark as background.

    Args:
        rgb_u8: ``(H, W, 3)`` photograph.
        labels: ``(H, W)`` class ids, 255 = unlabelled.

    Returns:
        ``(H, W, 3)`` uint8.
    """
    colours = np.array(palette(), dtype=np.float64).reshape(256, 3)
    colours[IGNORE] = 255
    alpha = np.where(labels == IGNORE, 0.85, LABEL_ALPHA)[:, :, None]
    mixed: NDArray[np.uint8] = ((1 - alpha) * rgb_u8 + alpha * colours[labels]).round().astype(np.uint8)
    border = _borders(labels, max(1, round(len(labels) / TILE_HEIGHT)))
    bright = colours * 255 / colours.max(axis=1, keepdims=True).clip(1)
    mixed[border] = bright[labels[border]].round()
    return mixed


def _borders(labels: NDArray[np.uint8], thickness: int) -> NDArray[np.bool_]:
    """The ``(H, W)`` pixels of a class, not background or unlabelled, so close to a pixel of another label."""
    border = np.zeros(labels.shape, dtype=np.bool_)
    for shift in range(1, thickness + 1):
        down, right = (labels[shift:] != labels[:-shift]), (labels[:, shift:] != labels[:, :-shift])
        border[shift:] |= down
        border[:-shift] |= down
        border[:, shift:] |= right
        border[:, :-shift] |= right
    return border & (labels != BACKGROUND) & (labels != IGNORE)


def heat_overlay(rgb_u8: NDArray[np.uint8], heat: NDArray[np.float32]) -> NDArray[np.uint8]:
    """Lay an ``(H, W)`` map of values in [0, 1] over an ``(H, W, 3)`` photograph, cold to hot."""
    anchors = np.linspace(0, 1, len(HEAT))
    colours = np.stack([np.interp(heat, anchors, HEAT[:, channel]) for channel in range(3)], axis=2)
    mixed: NDArray[np.uint8] = ((1 - HEAT_ALPHA) * rgb_u8 + HEAT_ALPHA * colours).round().astype(np.uint8)
    return mixed


def draw_panel(
    tiles: Sequence[Tile],
    legend: Sequence[tuple[int, str]],
    tile_height: int = TILE_HEIGHT,
    title: str = "",
    width: int | None = None,
) -> Image.Image:
    """Put captioned tiles in rows, with the colours of the classes below; a caption that is too long is cut.

    Args:
        tiles: pictures of one size, left to right and then down.
        legend: class id and name of what the tiles show; 255 is the colour of unlabelled pixels.
        tile_height: pixels.
        title: a line above the tiles.
        width: pixels that a row may take, of one tile at least; None = there is one row.
    """
    tile_width = max(96, round(tiles[0][1].shape[1] * tile_height / tiles[0][1].shape[0]))
    slot = max(tile_width, min(CAPTION, math.ceil(max(_font().getlength(caption) for caption, _ in tiles))))
    columns = _columns(len(tiles), slot + MARGIN, width)
    panel_width = MARGIN + columns * (slot + MARGIN)
    first, row_height = MARGIN + (LINE + MARGIN if title else 0), LINE + tile_height + MARGIN
    bottom = first + math.ceil(len(tiles) / columns) * row_height
    entries, lines = _place_legend(legend, panel_width)
    panel = Image.new("RGB", (panel_width, bottom + lines * LINE + MARGIN), "white")
    draw = ImageDraw.Draw(panel)
    draw.text((MARGIN, MARGIN), _cut(title, panel_width - 2 * MARGIN), fill=TEXT, font=_font())
    for number, (caption, pixels) in enumerate(tiles):
        left, top = MARGIN + number % columns * (slot + MARGIN), first + number // columns * row_height
        draw.text((left, top), _cut(caption, slot), fill=TEXT, font=_font())
        tile = Image.fromarray(pixels).resize((tile_width, tile_height), Image.Resampling.LANCZOS)
        panel.paste(tile, (left, top + LINE))
    _draw_legend(draw, entries, bottom)
    return panel


def _columns(count: int, step: int, width: int | None) -> int:
    """Tiles in a row, so that as few rows as the width allows are filled evenly."""
    fit = count if width is None else max(1, (width - MARGIN) // step)
    return math.ceil(count / math.ceil(count / fit))


def _cut(text: str, width: int) -> str:
    """As much of a line as fits into so many pixels."""
    if _font().getlength(text) <= width:
        return text
    while text and _font().getlength(f"{text}…") > width:
        text = text[:-1]
    return f"{text}…"


def _font() -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    return ImageFont.load_default(size=14)


def _place_legend(legend: Sequence[tuple[int, str]], panel_width: int) -> tuple[list[tuple[int, int, int, str]], int]:
    """Left edge, line, class id and name of each entry, and the number of lines; a full line is followed by another."""
    left, line = MARGIN, 0
    entries = []
    for class_id, name in legend:
        needed = round(_font().getlength(name)) + 40
        if left > MARGIN and left + needed > panel_width:
            left, line = MARGIN, line + 1
        entries.append((left, line, class_id, name))
        left += needed
    return entries, line + 1


def _draw_legend(draw: ImageDraw.ImageDraw, entries: Sequence[tuple[int, int, int, str]], top: int) -> None:
    colours = palette()
    for left, line, class_id, name in entries:
        y = top + line * LINE
        fill = (255, 255, 255) if class_id == IGNORE else tuple(colours[3 * class_id : 3 * class_id + 3])
        draw.rectangle((left, y + 2, left + 14, y + 16), fill=fill, outline=(120, 124, 132))
        draw.text((left + 20, y), name, fill=TEXT, font=_font())


def legend_colour(class_id: int) -> str:
    """The colour of a class in a legend, for a style sheet; 255 is white."""
    colours = [255] * 3 if class_id == IGNORE else palette()[3 * class_id : 3 * class_id + 3]
    return f"rgb({' '.join(map(str, colours))})"


def find_legend(shown: Iterable[NDArray[np.uint8]], class_names: Sequence[str]) -> list[tuple[int, str]]:
    """Id and name of every class in the label maps that are shown, 255 last."""
    present = sorted({int(one) for labels in shown for one in np.unique(labels)})
    return [(one, "unlabelled / not scored" if one == IGNORE else class_names[one]) for one in present]
