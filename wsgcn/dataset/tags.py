"""Image-level labels of one's own photographs: a table of tags, or one folder a class."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from wsgcn.errors import DataError
from wsgcn.store.photos import photo_id, plain

IMAGE, LABELS, SPLITS = "image", "labels", "splits"
"""Columns of a table of tags; the third is in a project's own table alone."""
SEPARATOR = ";"
"""Between labels, and between splits."""


@dataclass(frozen=True)
class Tags:
    """What is known of a photograph.

    Attributes:
        image: its path below the folder of photographs, POSIX.
        labels: names of the classes that it shows, each once, in the table's order.
        splits: names of the lists that hold it.
    """

    image: str
    labels: tuple[str, ...]
    splits: tuple[str, ...] = ()

    @property
    def id(self) -> str:
        """Name of every file that is made of it."""
        return photo_id(self.image)


def read_tags(path: Path, *columns: str) -> list[Tags]:
    """Read a table of tags: UTF-8, commas, a header that names the columns; other columns are left alone.

    Args:
        path: CSV file.
        columns: that it must have.

    Raises:
        DataError: the table is missing or broken, or names a photograph twice; it lists every such line.
    """
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            reader = csv.DictReader(file, strict=True)
            lacking = [one for one in columns if one not in (reader.fieldnames or ())]
            if lacking:
                raise DataError(
                    f"{path} has no column {' or '.join(lacking)}: its first line must be {','.join(columns)}, with "
                    f"commas, and labels of one photograph are separated by {SEPARATOR!r}"
                )
            return _rows(path, reader)
    except FileNotFoundError:
        raise DataError(f"{path} is missing: write a table with the columns {','.join(columns)}") from None
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"{path} cannot be read ({error}): save it as CSV in UTF-8") from error


def _rows(path: Path, reader: csv.DictReader[str]) -> list[Tags]:
    rows: dict[str, Tags] = {}
    wrong = []
    for row in reader:
        image = plain(row[IMAGE] or "")
        if None in row or None in row.values() or not image:
            wrong.append(f"line {reader.line_num} has not as many cells as the first line, or names no photograph")
        elif image in rows:
            wrong.append(f"line {reader.line_num} names {image} again")
        else:
            rows[image] = Tags(image, _parts(row[LABELS]), _parts(row.get(SPLITS) or ""))
    if wrong:
        raise DataError(f"{path}: {'; '.join(wrong)}: write one line a photograph, with commas in quotation marks")
    if not rows:
        raise DataError(f"{path} names no photograph: write one line for each")
    return [*rows.values()]


def _parts(cell: str) -> tuple[str, ...]:
    return tuple(dict.fromkeys(part for one in cell.split(SEPARATOR) if (part := plain(one))))


def table_rows(photographs: Iterable[Tags]) -> list[tuple[str, str, str]]:
    """Rows of a project's own table, with the columns :data:`IMAGE`, :data:`LABELS` and :data:`SPLITS`."""
    return [(one.image, SEPARATOR.join(one.labels), SEPARATOR.join(one.splits)) for one in photographs]


def tables_inside(root: Path) -> list[Path]:
    """CSV files that lie beside the photographs."""
    return sorted(one for one in root.glob("*") if one.suffix.lower() == ".csv")


def labelled_by_folder(found: Sequence[str]) -> list[Tags]:
    """The first folder on a photograph's path is its class; what lies in none has no label."""
    parts = [(one, PurePosixPath(one).parts) for one in found]
    return [Tags(one, (plain(way[0]),) if len(way) > 1 else ()) for one, way in parts]
