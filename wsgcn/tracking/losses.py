"""The losses of every photograph in a method's run: a table and a picture of how they are distributed. No MLflow."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import fmean

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from wsgcn.store.files import write_atomic, write_json
from wsgcn.tracking.contents import loss_columns, loss_ids

TABLE, PICTURE = "losses.json", "losses.png"
"""Names of the two files."""

BINS = 60
WIDTH, HEIGHT, MARGIN, LINE = 8 * BINS, 90, 16, 22  # pixels: of a histogram, around it, of a line of text
INK, BARS, MEAN = (32, 36, 44), (76, 120, 168), (214, 69, 65)


def write_losses(file: Path, folder: Path) -> None:
    """Write the table, as MLflow shows tables, and the picture.

    Args:
        file: the CSV file that ``propagate`` wrote, with a row for each photograph.
        folder: gets :data:`TABLE` and :data:`PICTURE`.
    """
    columns = loss_columns(file)
    rows = [[*row] for row in zip(loss_ids(file), *columns.values(), strict=True)]
    write_json(folder / TABLE, {"columns": ["id", *columns], "data": rows})
    picture = draw_histograms(columns)
    write_atomic(folder / PICTURE, lambda written: picture.save(written, format="PNG"))


def draw_histograms(columns: Mapping[str, Sequence[float]]) -> Image.Image:
    """A histogram of each column, one below the other, with the mean as a line.

    Args:
        columns: finite values by name, at least one a column.
    """
    step = LINE + HEIGHT + LINE + MARGIN
    image = Image.new("RGB", (WIDTH + 2 * MARGIN, MARGIN + step * len(columns)), "white")
    for number, (name, values) in enumerate(columns.items()):
        _draw_histogram(ImageDraw.Draw(image), MARGIN + step * number, name, values)
    return image


def _draw_histogram(draw: ImageDraw.ImageDraw, top: int, name: str, values: Sequence[float]) -> None:
    counts, edges = np.histogram(values, BINS)
    low, high, mean = float(edges[0]), float(edges[-1]), fmean(values)
    font, base = ImageFont.load_default(14), top + LINE + HEIGHT
    draw.text((MARGIN, top), f"{name}: mean {mean:.4g} over {len(values)} photographs", INK, font)
    for number, count in enumerate(counts):
        left = MARGIN + number * WIDTH // BINS
        height = round(HEIGHT * count / counts.max())
        if height:
            draw.rectangle((left, base - height, left + WIDTH // BINS - 2, base), BARS)
    draw.line((MARGIN, base, MARGIN + WIDTH, base), INK)
    place = MARGIN + round(WIDTH * (mean - low) / (high - low))
    draw.line((place, base - HEIGHT, place, base), MEAN, 2)
    draw.text((MARGIN, base + 2), f"{low:.4g}", INK, font)
    draw.text((MARGIN + WIDTH, base + 2), f"{high:.4g}", INK, font, anchor="ra")
