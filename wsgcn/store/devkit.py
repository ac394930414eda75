"""The folders of the PASCAL VOC devkit: lists of image ids, and the photographs that they name."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from wsgcn.errors import DataError
from wsgcn.store.photos import SUFFIXES

PHOTOS, SPLITS = "JPEGImages", "ImageSets/Segmentation"
SET_ROOT = "set dataset.root in params.yaml, or make the project with `wsgcn init --data ROOT`"


def check_folders(root: Path, folders: Iterable[str]) -> None:
    """Refuse a root that lacks one of these folders.

    Raises:
        DataError: it does.
    """
    if not root.is_dir():
        raise DataError(f"the dataset folder {root.absolute()} is missing: {SET_ROOT}")
    for folder in folders:
        if not (root / folder).is_dir():
            raise DataError(
                f"the dataset folder {root.absolute()} has no {folder}: "
                f"it must look like VOCdevkit/VOC2012; if it is another folder, {SET_ROOT}"
            )


def read_split(root: Path, split: str, hint: str) -> list[str]:
    """The image ids of ``ImageSets/Segmentation/<split>.txt``, in its order, each once.

    Args:
        root: the folder that holds ``ImageSets``.
        split: name of the list, without ``.txt``.
        hint: what to do where there is no such list, for the error.

    Raises:
        DataError: the list is missing or empty, or its name or an id cannot be a file's.
    """
    if not is_name(split):
        raise DataError(f"{split!r} is no name of a split list: write it without folder and suffix")
    path = root / SPLITS / f"{split}.txt"
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except FileNotFoundError:
        known = ", ".join(sorted(one.stem for one in path.parent.glob("*.txt"))) or "none"
        raise DataError(f"the split list {path.absolute()} is missing: the lists there are {known}; {hint}") from None
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"the split list {path} cannot be read ({error}): write one image id a line") from error
    ids = list(dict.fromkeys(line.strip() for line in lines if line.strip()))
    if not ids:
        raise DataError(f"the split list {path} is empty: write one image id a line")
    for image_id in ids:
        if not is_name(image_id):
            raise DataError(
                f"{image_id!r} in the split list {path} is no image id: "
                "write the photograph's name without folder and suffix"
            )
    return ids


def is_name(text: str) -> bool:
    """Whether it can be a file's name: it becomes one in every later stage and must stay inside their folders."""
    return not text.startswith(".") and text.isprintable() and not set(text) & set("/\\")


def photos_by_id(root: Path) -> dict[str, list[str]]:
    """File names of the photographs by image id: one listing of the folder, whatever the case of the suffix."""
    photos: dict[str, list[str]] = {}
    for path in sorted((root / PHOTOS).iterdir()):
        if path.suffix.lower() in SUFFIXES:
            photos.setdefault(path.stem, []).append(path.name)
    return photos


def only_photo(root: Path, image_id: str, photos: Mapping[str, Sequence[str]]) -> str:
    """Path of the one photograph of an id below the root, POSIX.

    Raises:
        DataError: there is none, or more than one.
    """
    names = photos.get(image_id, [])
    if not names:
        raise DataError(
            f"{root / PHOTOS} holds no photograph {image_id} with suffix {', '.join(SUFFIXES)}: "
            "add it or take the id from the split list"
        )
    if len(names) > 1:
        raise DataError(f"{root / PHOTOS} holds {' and '.join(names)} for one id: keep one of them")
    return f"{PHOTOS}/{names[0]}"
