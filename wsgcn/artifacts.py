"""Every file that one stage writes and another reads: paths, formats, fingerprints.

Axes, here and everywhere: ``B`` batch, ``C`` all classes, ``K`` classes of one image (background first), ``H W``
pixels, ``h w`` grid cells, ``N = h·w`` nodes in row-major order, ``E`` edges, ``O`` neighbour offsets, ``F`` features.

Nothing is ever pickled, and a file appears under its name only when it is complete.
"""

from __future__ import annotations

import csv
import hashlib
import io
import json
import os
import tempfile
import zipfile
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from functools import cache
from pathlib import Path
from typing import Any, BinaryIO, TypeVar

import numpy as np
from numpy.typing import NDArray
from PIL import Image, PngImagePlugin

from wsgcn.errors import DataError
from wsgcn.labels import BACKGROUND, palette

PACKAGE = Path(__file__).parent
HISTORY = ("step", "loss", "lr")
"""Columns of a training's history."""
_FINGERPRINT = "fingerprint"


# ---------------------------------------------------------------- paths


@dataclass(frozen=True)
class Artifacts:
    """Where each stage keeps its files: ``<root>/<stage>/<variant or method>/…``."""

    root: Path = Path("artifacts")

    @property
    def index(self) -> Path:
        """The index that ``dataset`` writes."""
        return self.root / "dataset" / "index.json"

    def folder(self, stage: str, name: str) -> Path:
        """The folder of one variant or method of a stage."""
        return self.root / stage / name

    def checkpoint(self, stage: str, name: str) -> Path:
        """The trained network of ``cams-train``, ``affinity-train`` or ``segtrain``."""
        return self.folder(stage, name) / "checkpoint.pt"

    def history(self, stage: str, name: str) -> Path:
        """The training curve beside the checkpoint, one row per logged step."""
        return self.folder(stage, name) / "history.csv"

    def arrays(self, stage: str, name: str, image_id: str) -> Path:
        """The per-image arrays of ``cams``, ``affinity`` or ``propagate``."""
        return self.folder(stage, name) / f"{image_id}.npz"

    def label_map(self, stage: str, name: str, image_id: str) -> Path:
        """The per-image label map of ``crf``."""
        return self.folder(stage, name) / f"{image_id}.png"

    def losses(self, name: str) -> Path:
        """The per-image GCN losses of a method."""
        return self.root / "propagate" / f"{name}.losses.csv"

    def summary(self, stage: str, name: str) -> Path:
        """Numbers of a per-image stage as a whole: how many images, seconds an image."""
        return self.root / stage / f"{name}.summary.json"

    def metrics(self, name: str) -> Path:
        """The scores of a method."""
        return self.folder("evaluate", name) / "metrics.json"


# ---------------------------------------------------------------- writing whole files


def write_atomic(path: Path, write: Callable[[BinaryIO], object]) -> None:
    """Let ``write`` fill a temporary file beside ``path`` and rename it, so that ``path`` is never half a file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=".part")
    try:
        with os.fdopen(descriptor, "wb") as file:
            write(file)
        os.chmod(temporary, 0o644)
        os.replace(temporary, path)
    except BaseException:
        os.unlink(temporary)
        raise


def write_text(path: Path, text: str) -> None:
    """Write a UTF-8 text file atomically."""
    write_atomic(path, lambda file: file.write(text.encode()))


def write_json(path: Path, content: object) -> None:
    """Write JSON atomically, for people and machines: indented, sorted, without NaN."""
    write_text(path, json.dumps(content, indent=1, sort_keys=True, allow_nan=False) + "\n")


def read_json(path: Path) -> Any:
    """Read a JSON file.

    Raises:
        DataError: it is missing or is not JSON.
    """
    try:
        return json.loads(path.read_text())
    except FileNotFoundError:
        raise DataError(f"{path} is missing: run the stage that makes it (dvc repro)") from None
    except ValueError as error:
        raise DataError(f"{path} is not JSON ({error}): delete it and make it again") from error


def write_table(path: Path, header: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Write a CSV file atomically."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(header)
    writer.writerows(rows)
    write_text(path, text.getvalue())


def read_table(path: Path) -> list[dict[str, str]]:
    """Read a CSV file as one mapping a row.

    Raises:
        DataError: it is missing.
    """
    try:
        with path.open(newline="") as file:
            return list(csv.DictReader(file))
    except FileNotFoundError:
        raise DataError(f"{path} is missing: run the stage that makes it (dvc repro)") from None


# ---------------------------------------------------------------- the index


@dataclass(frozen=True)
class ImageRecord:
    """One photograph of the dataset: what is known of it before any stage runs.

    Attributes:
        id: name without suffix.
        photo: path of the photograph below the dataset's root.
        height: rows in pixels, after the EXIF rotation is applied.
        width: columns in pixels, likewise.
        class_ids: foreground classes that the photograph shows, ascending, never empty.
        splits: names of the split lists that hold it.
    """

    id: str
    photo: str
    height: int
    width: int
    class_ids: tuple[int, ...]
    splits: tuple[str, ...]


@dataclass(frozen=True)
class Index:
    """The dataset as every stage sees it: photographs and image-level labels, no masks.

    Attributes:
        name: what reports call the dataset.
        root: folder of the devkit (``JPEGImages``, ``Annotations``, …), absolute or relative to the project.
        class_names: names by class id, background first.
        images: every photograph of every split, in order of id.
    """

    name: str
    root: str
    class_names: tuple[str, ...]
    images: tuple[ImageRecord, ...]

    def split(self, name: str) -> list[ImageRecord]:
        """The photographs of one split list, in order of id.

        Raises:
            DataError: no photograph belongs to it.
        """
        images = [image for image in self.images if name in image.splits]
        if not images:
            known = ", ".join(sorted({split for image in self.images for split in image.splits}))
            raise DataError(f"the index holds no photograph of split {name!r}: it has {known}")
        return images

    def photo_path(self, image: ImageRecord) -> Path:
        """Where the photograph lies."""
        return Path(self.root) / image.photo


def save_index(path: Path, index: Index) -> None:
    """Write the index as JSON."""
    write_json(path, asdict(index))


def load_index(path: Path) -> Index:
    """Read the index.

    Raises:
        DataError: it is missing or was written by another version.
    """
    content = read_json(path)
    try:
        images = tuple(
            ImageRecord(**{**image, "class_ids": tuple(image["class_ids"]), "splits": tuple(image["splits"])})
            for image in content["images"]
        )
        return Index(content["name"], content["root"], tuple(content["class_names"]), images)
    except (KeyError, TypeError) as error:
        raise DataError(f"{path} is not an index of this version ({error}): run `wsgcn dataset`") from error


# ---------------------------------------------------------------- per-image arrays


def _check(condition: bool, message: str) -> None:
    if not condition:
        raise DataError(message)


def _check_arrays(record: Cams | Affinity | Scores) -> None:
    """A damaged archive may give bytes or text where an array of numbers belongs."""
    for field in fields(record):
        value = getattr(record, field.name)
        _check(isinstance(value, np.ndarray) and value.dtype.kind in "iuf", f"{field.name} that is no array of numbers")


@dataclass(frozen=True)
class Cams:
    """Class activation maps of one image.

    Attributes:
        class_ids: ``(K-1,)`` foreground classes of the image, ascending, int64.
        cams: ``(K-1, h, w)`` float32, each map in [0, 1] with maximum 1 (or all 0 where nothing was activated).
    """

    class_ids: NDArray[np.int64]
    cams: NDArray[np.float32]

    def __post_init__(self) -> None:
        _check_arrays(self)
        _check(self.cams.ndim == 3 and len(self.cams) == len(self.class_ids) > 0, f"cams of shape {self.cams.shape}")
        _check(bool(np.isfinite(self.cams).all()), "cams that are not finite")


@dataclass(frozen=True)
class Affinity:
    """The affinity graph of one image, as a stencil on its grid, and the node features V.

    Attributes:
        offsets: ``(O, 2)`` int64, (dy, dx) from a cell to a neighbour; each pair of cells appears once, so dy ≥ 0.
        weights: ``(O, h, w)`` float16 in [0, 1]: affinity of the cell with its neighbour at that offset, 0 where
            the neighbour lies outside the grid. A is symmetric, A_ii = 1 is not stored.
        boundary: ``(h, w)`` float16 in [0, 1], how surely a cell lies on a boundary; all 0 for variant P.
        features: ``(F, h, w)`` float16, the V of eq. (1).
    """

    offsets: NDArray[np.int64]
    weights: NDArray[np.float16]
    boundary: NDArray[np.float16]
    features: NDArray[np.float16]

    def __post_init__(self) -> None:
        _check_arrays(self)
        _check(self.offsets.shape == (len(self.weights), 2), f"offsets of shape {self.offsets.shape}")
        _check(self.weights.shape[1:] == self.features.shape[1:], f"features of shape {self.features.shape}")
        _check(self.weights.shape[1:] == self.boundary.shape, f"boundary of shape {self.boundary.shape}")
        for name in ("weights", "boundary", "features"):
            _check(bool(np.isfinite(getattr(self, name)).all()), f"{name} that are not finite")


@dataclass(frozen=True)
class Scores:
    """What propagation says of one image, at the grid's resolution.

    Attributes:
        class_ids: ``(K,)`` int64, background first.
        scores: ``(K, h, w)`` float32 ≥ 0: probabilities of the GCN, or the walk's scores with the background constant.
        partial_labels: ``(h, w)`` uint8 class ids, the partial pseudo labels P that the GCN learned from; 255 =
            unlabelled, everywhere for a random walk, which uses none.
        losses: ``(steps, 5)`` float32, the GCN's total, fg, bg, ent and lap at every step; ``(0, 5)`` for a walk.
    """

    class_ids: NDArray[np.int64]
    scores: NDArray[np.float32]
    partial_labels: NDArray[np.uint8]
    losses: NDArray[np.float32]

    def __post_init__(self) -> None:
        _check_arrays(self)
        _check(self.scores.ndim == 3 and len(self.scores) == len(self.class_ids), f"scores of {self.scores.shape}")
        _check(int(self.class_ids[0]) == BACKGROUND, "no background in front")
        _check(bool(np.isfinite(self.scores).all()), "scores that are not finite")


_BROKEN = (OSError, ValueError, TypeError, KeyError, EOFError, RuntimeError, zipfile.BadZipFile, DataError)
"""What NumPy, zipfile and the records raise for a broken ``.npz``; RuntimeError: flags unknown to zipfile."""


def _open_npz(file: BinaryIO) -> np.lib.npyio.NpzFile:
    arrays = np.load(file, allow_pickle=False)  # given a path, NumPy would leave a broken file open
    _check(isinstance(arrays, np.lib.npyio.NpzFile), "no archive of arrays")
    return arrays


Record = TypeVar("Record", Cams, Affinity, Scores)


def save_record(path: Path, record: Cams | Affinity | Scores, fingerprint: str) -> None:
    """Write the arrays of a record as ``.npz`` with the fingerprint of what made them."""
    arrays = {field.name: getattr(record, field.name) for field in fields(record)}
    write_atomic(path, lambda file: np.savez(file, **arrays, fingerprint=np.array(fingerprint)))


def load_record(path: Path, kind: type[Record]) -> Record:
    """Read a record.

    Raises:
        DataError: the file is missing, broken, or holds something else.
    """
    try:
        with path.open("rb") as file, _open_npz(file) as arrays:
            return kind(**{field.name: arrays[field.name] for field in fields(kind)})
    except FileNotFoundError:
        raise DataError(f"{path} is missing: run the stage that makes it") from None
    except _BROKEN as error:
        raise DataError(f"{path} is broken ({error}): delete it and run its stage again") from error


# ---------------------------------------------------------------- label maps


def save_label_map(path: Path, labels: NDArray[np.uint8], fingerprint: str) -> None:
    """Write an ``(H, W)`` map of class ids (255 = unlabelled) as a palette PNG with its fingerprint."""
    image = Image.fromarray(labels)
    image.putpalette(palette())
    info = PngImagePlugin.PngInfo()
    info.add_text(_FINGERPRINT, fingerprint)
    write_atomic(path, lambda file: image.save(file, format="PNG", pnginfo=info))


def load_label_map(path: Path) -> NDArray[np.uint8]:
    """Read a map of class ids, ``(H, W)`` uint8.

    Raises:
        DataError: the file is missing, broken, or is a picture in colour.
    """
    try:
        with Image.open(path) as image:
            _check(image.mode in ("P", "L"), f"mode {image.mode}, not a palette of class ids")
            return np.array(image, dtype=np.uint8)
    except FileNotFoundError:
        raise DataError(f"{path} is missing") from None
    except (OSError, ValueError, SyntaxError, DataError) as error:
        raise DataError(f"{path} is not a label map ({error})") from error


# ---------------------------------------------------------------- fingerprints


def fingerprint(room: str, params: Iterable[Mapping[str, Any]], inputs: Iterable[str]) -> str:
    """What makes a per-image file: the code, the parameters and the inputs, as 32 hexadecimal digits.

    Args:
        room: name of the stage's package; its code and the shared code count.
        params: the parameters used, as mappings.
        inputs: fingerprints or digests of every file that was read.
    """
    content = [code_version(room), [dict(one) for one in params], list(inputs)]
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:32]


@cache
def code_version(room: str) -> str:
    """Digest of the Python sources that decide a stage's result: its room, ``nets``, ``ops`` and this floor."""
    digest = hashlib.sha256()
    sources = [PACKAGE / "artifacts.py", PACKAGE / "labels.py", PACKAGE / "runtime.py"]
    for folder in (room, "nets", "ops"):
        sources += sorted((PACKAGE / folder).glob("*.py"))
    for source in sources:
        digest.update(source.read_bytes())
    return digest.hexdigest()


def file_digest(path: Path) -> str:
    """Digest of a file's content.

    Raises:
        DataError: the file is missing.
    """
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except FileNotFoundError:
        raise DataError(f"{path} is missing") from None


def read_fingerprint(path: Path) -> str | None:
    """The fingerprint that a per-image file carries; None where there is no file or it cannot be read."""
    try:
        if path.suffix == ".png":
            with Image.open(path) as image:
                value = image.info.get(_FINGERPRINT)
                return None if value is None else str(value)
        with path.open("rb") as file, _open_npz(file) as arrays:
            return str(arrays[_FINGERPRINT])
    except (SyntaxError, *_BROKEN):
        return None


def require_fingerprint(path: Path) -> str:
    """The fingerprint of a file that an earlier stage made.

    Raises:
        DataError: there is no such file, or it is broken.
    """
    mark = read_fingerprint(path)
    if mark is None:
        reason = "is broken: delete it and run its stage again" if path.exists() else "is missing: run its stage first"
        raise DataError(f"{path} {reason}")
    return mark


def write_summary(path: Path, images: int, seconds: Mapping[str, float]) -> None:
    """Write what a per-image stage did; a run that made nothing leaves the earlier summary.

    Args:
        path: file to write.
        images: number of images the stage has.
        seconds: time spent, by image id, of the images made in this run.
    """
    if seconds or not path.exists():
        mean = sum(seconds.values()) / len(seconds) if seconds else 0.0
        write_json(path, {"images": images, "made": len(seconds), "seconds_per_image": mean})


def remove_others(folder: Path, keep: Iterable[str]) -> None:
    """Delete from a per-image folder what no listed image owns: leftovers of a kill or of another dataset."""
    names = set(keep)
    if folder.is_dir():
        for path in folder.iterdir():
            if path.name not in names:
                path.unlink()
