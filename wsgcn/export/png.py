"""Format ``png``: the label maps alone."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from wsgcn.export.base import Contents, Format, LabelledPhoto


class Png(Format):
    """``<id>.png``, palette PNGs of class ids, and ``classes.csv``, what the ids mean."""

    def of_photo(self, photo: LabelledPhoto) -> Contents:
        """The label map."""
        return {f"{photo.id}.png": partial(photo.png, len(self.class_names))}

    def of_all(self, photos: Sequence[LabelledPhoto], notes: Callable[[LabelledPhoto], Any], folder: Path) -> Contents:
        """The classes."""
        return {"classes.csv": self._classes}

    def _classes(self) -> bytes:
        text = io.StringIO()
        csv.writer(text, lineterminator="\n").writerows([("id", "name"), *enumerate(self.class_names)])
        return text.getvalue().encode()
