"""Reading a dataset in the layout of the PASCAL VOC devkit: photographs and image-level labels, never a mask.

The layout is that of the VOC 2012 download: ``ImageSets/Segmentation/<split>.txt``, ``Annotations/<id>.xml``,
``JPEGImages/<id>.jpg``. Masks may be absent; nothing here looks for them.
"""

from __future__ import annotations

import xml.etree.ElementTree as ET
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from wsgcn.errors import DataError, StageError
from wsgcn.store.devkit import PHOTOS, SET_ROOT, SPLITS, check_folders, only_photo, photos_by_id, read_split
from wsgcn.store.fingerprints import file_digest
from wsgcn.store.index import ImageRecord, Index
from wsgcn.store.photos import photo_size
from wsgcn.vocabulary import BACKGROUND

ANNOTATIONS = "Annotations"


def read_devkit(name: str, root: Path, class_names: Sequence[str], splits: Iterable[str]) -> Index:
    """Read every photograph that the split lists name.

    Args:
        name: what reports call the dataset.
        root: the folder that holds ``JPEGImages``, ``Annotations`` and ``ImageSets``.
        class_names: names by class id, background first.
        splits: names of split lists, without ``.txt``.

    Returns:
        The index, in order of id; an id listed twice counts once.

    Raises:
        DataError: a folder or a split list is missing, empty, or names what cannot be an id.
        StageError: photographs or annotations are missing or wrong; it lists all of them.
    """
    check_folders(root, (PHOTOS, ANNOTATIONS, SPLITS))
    members = _read_splits(root, splits)
    photos = photos_by_id(root)
    class_ids = {name: class_id for class_id, name in enumerate(class_names) if class_id != BACKGROUND}
    images, failures = [], {}
    for image_id in sorted(members):
        try:
            photo = only_photo(root, image_id, photos)
            shown = _read_labels(root / ANNOTATIONS / f"{image_id}.xml", class_ids)
            height, width = photo_size(root / photo)
            digest = file_digest(root / photo)
            images.append(ImageRecord(image_id, photo, height, width, shown, tuple(members[image_id]), digest))
        except DataError as error:
            failures[image_id] = str(error)
    if failures:
        raise StageError("dataset", failures, len(members))
    return Index(name, root.as_posix(), tuple(class_names), tuple(images))


def list_photographs(root: Path, split: str) -> list[ImageRecord]:
    """What a list names, without any annotation: those of VOC's ``test`` have none.

    Raises:
        DataError: a folder or the list is missing or empty.
        StageError: photographs are missing or broken; it lists all of them.
    """
    check_folders(root, (PHOTOS, SPLITS))
    ids = read_split(root, split, "add VOC's test download, which has test.txt, or name one of them with --split")
    photos = photos_by_id(root)
    images, failures = [], {}
    for image_id in ids:
        try:
            path = only_photo(root, image_id, photos)
            images.append(ImageRecord(image_id, path, *photo_size(root / path), (), (split,)))
        except DataError as error:
            failures[image_id] = str(error)
    if failures:
        raise StageError("evaluate", failures, len(ids))
    return images


def _read_splits(root: Path, splits: Iterable[str]) -> dict[str, list[str]]:
    """Names of the split lists by image id."""
    members: dict[str, list[str]] = {}
    for split in dict.fromkeys(splits):
        hint = f"name one of them instead of {split!r} in section dataset of params.yaml, or {SET_ROOT}"
        for image_id in read_split(root, split, hint):
            members.setdefault(image_id, []).append(split)
    return members


class _PlainTree(ET.TreeBuilder):
    """Builds a tree from XML without a DOCTYPE, the one place that can declare entities."""

    def doctype(self, name: str, pubid: str | None, system: str | None) -> None:
        """Stop before the first declaration is read, in whatever encoding the file is."""
        raise DataError("it has a DOCTYPE, which can declare entities")


def _read_labels(path: Path, class_ids: Mapping[str, int]) -> tuple[int, ...]:
    """Class ids of an annotation, ascending. Parts of objects have names too and do not count."""
    names = [(one.findtext("name") or "").strip() for one in _parse(path).findall("object")]
    unknown = sorted(set(names) - set(class_ids))
    if unknown:
        raise DataError(
            f"{path} names {', '.join(map(repr, unknown))}, which dataset.classes in params.yaml does not: "
            f"known are {', '.join(class_ids)}"
        )
    if not names:
        raise DataError(f"{path} names no <object>: label the photograph or take it from the split list")
    return tuple(sorted({class_ids[name] for name in names}))


def _parse(path: Path) -> ET.Element:
    try:
        return ET.fromstring(path.read_bytes(), ET.XMLParser(target=_PlainTree()))
    except FileNotFoundError:
        raise DataError(f"{path} is missing: write one <object><name> a class that the photograph shows") from None
    except DataError as error:
        raise DataError(f"{path} is refused, {error}: remove the declaration") from None
    except (OSError, ET.ParseError, ValueError, LookupError) as error:
        raise DataError(f"{path} is broken XML ({error}): mend it or take the id from the split list") from error
