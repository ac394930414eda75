"""Per-image arrays as ``.npz`` of plain arrays: CAMs, affinity graphs, scores."""

from __future__ import annotations

import zipfile
from dataclasses import MISSING, Field, dataclass, field, fields
from pathlib import Path
from typing import Any, BinaryIO, TypeAlias, TypeVar

import numpy as np
from numpy.typing import NDArray

from wsgcn.errors import DataError
from wsgcn.store.files import write_atomic
from wsgcn.vocabulary import BACKGROUND, IGNORE, LOSS_NAMES


def _check(condition: bool, message: str) -> None:
    if not condition:
        raise DataError(message)


def _stretched() -> NDArray[np.int64]:
    return np.array(0)


def _check_arrays(record: AnyRecord) -> None:
    """A damaged archive may give bytes or text where an array of numbers belongs."""
    for one in fields(record):
        value = getattr(record, one.name)
        _check(isinstance(value, np.ndarray) and value.dtype.kind in "iuf", f"{one.name} that is no array of numbers")


@dataclass(frozen=True)
class Cams:
    """Class activation maps of one image.

    Attributes:
        class_ids: ``(K-1,)`` foreground classes of the image, ascending, int64.
        cams: ``(K-1, h, w)`` float32, each map in [0, 1] with maximum 1 (or all 0 where nothing was activated).
        high_res: ``(K-1, H, W)`` float32, likewise, for whoever needs each pixel; empty where ``cams`` serve.
    """

    class_ids: NDArray[np.int64]
    cams: NDArray[np.float32]
    high_res: NDArray[np.float32] = field(default_factory=lambda: np.empty((0, 0, 0), dtype=np.float32))

    def __post_init__(self) -> None:
        _check_arrays(self)
        _check(self.cams.ndim == 3 and len(self.cams) == len(self.class_ids) > 0, f"cams of shape {self.cams.shape}")
        _check(bool(np.isfinite(self.cams).all() and np.isfinite(self.high_res).all()), "cams that are not finite")
        _check(self.finest.ndim == 3 and len(self.finest) == len(self.cams), f"high_res of {self.high_res.shape}")

    @property
    def finest(self) -> NDArray[np.float32]:
        """The maps that are labelled pixel by pixel: ``high_res``, or ``cams``."""
        return self.high_res if self.high_res.size else self.cams


@dataclass(frozen=True)
class Affinity:
    """The affinity graph of one image, as a stencil on its grid, and the node features V.

    Attributes:
        offsets: ``(O, 2)`` int64, (dy, dx) from a cell to a neighbour; each pair of cells appears once, so dy ≥ 0.
        weights: ``(O, h, w)`` float16 in [0, 1]: affinity of the cell with its neighbour at that offset, 0 where
            the neighbour lies outside the grid. A is symmetric, A_ii = 1 is not stored.
        boundary: ``(h, w)`` float16 in [0, 1], probability of a boundary; all 0 where the affinity has none.
        features: ``(F, h, w)`` float16, the V of eq. (1).
        stride: int64 scalar, pixels a cell, of which the last ones may jut out; 0 = the grid is stretched over the
            photograph.
    """

    offsets: NDArray[np.int64]
    weights: NDArray[np.float16]
    boundary: NDArray[np.float16]
    features: NDArray[np.float16]
    stride: NDArray[np.int64] = field(default_factory=_stretched)

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
        partial_labels: ``(h, w)`` uint8 class ids, the partial pseudo labels P that the GCN learned from, or what
            seeded region growing reached; 255 = unlabelled, everywhere for kinds without such labels.
        losses: ``(steps, L)`` float32, the kind's L losses at every step, for a GCN total, fg, bg, ent and lap;
            ``(0, 5)`` where nothing is learned.
        logarithmic: ``()`` uint8, 1 where the scores' logarithms are enlarged instead of the scores.
        stride: int64 scalar, as in :class:`Affinity`.
    """

    class_ids: NDArray[np.int64]
    scores: NDArray[np.float32]
    partial_labels: NDArray[np.uint8]
    losses: NDArray[np.float32]
    logarithmic: NDArray[np.uint8] = field(default_factory=lambda: np.zeros((), np.uint8))
    stride: NDArray[np.int64] = field(default_factory=_stretched)

    def __post_init__(self) -> None:
        _check_arrays(self)
        _check(self.scores.ndim == 3 and len(self.scores) == len(self.class_ids), f"scores of {self.scores.shape}")
        _check(int(self.class_ids[0]) == BACKGROUND, "no background in front")
        _check(bool(np.isfinite(self.scores).all()), "scores that are not finite")
        _check(self.logarithmic.shape == (), f"logarithmic of shape {self.logarithmic.shape}")

    @classmethod
    def not_learned(cls, class_ids: NDArray[np.int64], scores: NDArray[np.float32]) -> Scores:
        """Scores of a propagation that learns nothing: no partial labels, no losses."""
        unlabelled = np.full(scores.shape[1:], IGNORE, dtype=np.uint8)
        return cls(class_ids, scores, unlabelled, np.empty((0, len(LOSS_NAMES)), dtype=np.float32))


@dataclass(frozen=True)
class SeedScores:
    """What labels of cells follow from that teach an affinity network: a pixel's probabilities after two CRFs.

    Attributes:
        class_ids: ``(K,)`` int64, background first.
        low: ``(K, H, W)`` float16, with a weak background: it finds foreground.
        high: ``(K, H, W)`` float16, with a strong background: it finds background.
    """

    class_ids: NDArray[np.int64]
    low: NDArray[np.float16]
    high: NDArray[np.float16]

    def __post_init__(self) -> None:
        _check_arrays(self)
        for maps in (self.low, self.high):
            _check(maps.ndim == 3 and len(maps) == len(self.class_ids), f"scores of {maps.shape}")
            _check(bool(np.isfinite(maps).all()), "scores that are not finite")


AnyRecord: TypeAlias = Cams | Affinity | Scores | SeedScores

BROKEN = (OSError, ValueError, TypeError, KeyError, EOFError, RuntimeError, zipfile.BadZipFile, DataError)
"""What NumPy, zipfile and the records raise for a broken ``.npz``; RuntimeError: flags unknown to zipfile."""


def open_npz(file: BinaryIO) -> np.lib.npyio.NpzFile:
    """The arrays of an open ``.npz`` file, never unpickled."""
    arrays = np.load(file, allow_pickle=False)  # given a path, NumPy would leave a broken file open
    _check(isinstance(arrays, np.lib.npyio.NpzFile), "no archive of arrays")
    return arrays


Record = TypeVar("Record", Cams, Affinity, Scores, SeedScores)


def _has_default(record: AnyRecord, one: Field[Any]) -> bool:
    return one.default_factory is not MISSING and np.array_equal(getattr(record, one.name), one.default_factory())


def save_record(path: Path, record: AnyRecord, fingerprint: str) -> None:
    """Write the arrays of a record as ``.npz`` with the fingerprint of what made them; a default is left out."""
    arrays = {one.name: getattr(record, one.name) for one in fields(record) if not _has_default(record, one)}
    write_atomic(path, lambda file: np.savez(file, **arrays, fingerprint=np.array(fingerprint)))


def load_record(path: Path, kind: type[Record]) -> Record:
    """Read a record.

    Raises:
        DataError: the file is missing, broken, or holds something else.
    """
    try:
        with path.open("rb") as file, open_npz(file) as arrays:
            needed = {one.name for one in fields(kind) if one.default_factory is MISSING}
            return kind(**{name: arrays[name] for name in needed | set(arrays.files) - {"fingerprint"}})
    except FileNotFoundError:
        raise DataError(f"{path} is missing: run the stage that makes it") from None
    except BROKEN as error:
        raise DataError(f"{path} is broken ({error}): delete it and run its stage again") from error
