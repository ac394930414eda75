"""Reading a dataset in the layout of the PASCAL VOC devkit: photographs and image-level labels, never a mask.

The layout is that of the VOC 2012 download: ``ImageSets/Segmentation/<split>.txt``, ``Annotations/<id>.xml``,
``JPEGImages/<id>.jpg``. Masks may be absent; nothing here looks for them.
"""

from __future__ import annotations

import xml.etree.ElementTree as ET
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from wsgcn.artifacts import ImageRecord, Index
from wsgcn.errors import DataError, StageError
from wsgcn.labels import BACKGROUND
from wsgcn.ops.photo import photo_size

PHOTOS, ANNOTATIONS, SPLITS = "JPEGImages", "Annotations", "ImageSets/Segmentation"
SUFFIXES = (".jpg", ".jpeg", ".png", ".tif", ".tiff")

_SET_ROOT = "set dataset.root in params.yaml, or make the project with `wsgcn init --data ROOT`"


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
    _check_folders(root)
    members = _read_splits(root / SPLITS, splits)
    photos = _photos_by_id(root / PHOTOS)
    class_ids = {name: class_id for class_id, name in enumerate(class_names) if class_id != BACKGROUND}
    images, failures = [], {}
    for image_id in sorted(members):
        try:
            photo = _only_photo(root / PHOTOS, image_id, photos.get(image_id, []))
            shown = _read_labels(root / ANNOTATIONS / f"{image_id}.xml", class_ids)
            height, width = photo_size(root / photo)
            images.append(ImageRecord(image_id, photo, height, width, shown, tuple(members[image_id])))
        except DataError as error:
            failures[image_id] = str(error)
    if failures:
        raise StageError("dataset", failures, len(members))
    return Index(name, root.as_posix(), tuple(class_names), tuple(images))


def unseen_classes(index: Index, split: str) -> list[str]:
    """Names of the foreground classes that no photograph of a split shows, in order of id."""
    seen = {class_id for image in index.split(split) for class_id in image.class_ids}
    return [name for class_id, name in enumerate(index.class_names) if class_id not in seen | {BACKGROUND}]


def _check_folders(root: Path) -> None:
    if not root.is_dir():
        raise DataError(f"the dataset folder {root.absolute()} is missing: {_SET_ROOT}")
    for folder in (PHOTOS, ANNOTATIONS, SPLITS):
        if not (root / folder).is_dir():
            raise DataError(
                f"the dataset folder {root.absolute()} has no {folder}: "
                f"it must look like VOCdevkit/VOC2012; if it is another folder, {_SET_ROOT}"
            )


def _read_splits(folder: Path, splits: Iterable[str]) -> dict[str, list[str]]:
    """Names of the split lists by image id."""
    members: dict[str, list[str]] = {}
    for split in dict.fromkeys(splits):
        for image_id in _read_split(folder / f"{split}.txt", split):
            members.setdefault(image_id, []).append(split)
    return members


def _read_split(path: Path, split: str) -> list[str]:
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except FileNotFoundError:
        known = ", ".join(sorted(one.stem for one in path.parent.glob("*.txt"))) or "none"
        raise DataError(
            f"the split list {path.absolute()} is missing: the lists there are {known}; name one of them "
            f"instead of {split!r} in section dataset of params.yaml, or {_SET_ROOT}"
        ) from None
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"the split list {path} cannot be read ({error}): write one image id a line") from error
    ids = list(dict.fromkeys(line.strip() for line in lines if line.strip()))
    if not ids:
        raise DataError(f"the split list {path} is empty: write one image id a line")
    for image_id in ids:
        # An id becomes a file name in every later stage; it must stay inside their folders.
        if image_id.startswith(".") or not image_id.isprintable() or set(image_id) & set("/\\"):
            raise DataError(
                f"{image_id!r} in the split list {path} is no image id: "
                "write the photograph's name without folder and suffix"
            )
    return ids


def _photos_by_id(folder: Path) -> dict[str, list[str]]:
    """File names of the photographs by image id: one listing of the folder, whatever the case of the suffix."""
    photos: dict[str, list[str]] = {}
    for path in sorted(folder.iterdir()):
        if path.suffix.lower() in SUFFIXES:
            photos.setdefault(path.stem, []).append(path.name)
    return photos


def _only_photo(folder: Path, image_id: str, names: Sequence[str]) -> str:
    """Path of the photograph below the root, POSIX."""
    if not names:
        raise DataError(
            f"{folder} holds no photograph {image_id} with suffix {', '.join(SUFFIXES)}: "
            "add it or take the id from the split list"
        )
    if len(names) > 1:
        raise DataError(f"{folder} holds {' and '.join(names)} for one id: keep one of them")
    return f"{PHOTOS}/{names[0]}"


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
