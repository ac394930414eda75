"""Per-image arrays as ``.npz`` of plain arrays: CAMs, affinity graphs, scores."""

from __future__ import annotations

from dataclasses import MISSING, Field, dataclass, field, fields
from pathlib import Path
from typing import Any, TypeAlias, TypeVar

import numpy as np
from numpy.typing import DTypeLike, NDArray

from wsgcn.errors import DataError
from wsgcn.store.files import reading
from wsgcn.store.index import ImageRecord
from wsgcn.store.npz import read_npz
from wsgcn.store.seal import check_seal, write_sealed
from wsgcn.vocabulary import BACKGROUND, IGNORE, LOSS_NAMES

LARGEST_SCORE = 1e12
"""Far above every score, so that sums of them are finite."""
ROUNDING = 1e-3
"""By which a number may leave its range: float16 has three digits."""


def _check(condition: bool, message: str) -> None:
    if not condition:
        raise DataError(message)


def _rules(dtype: DTypeLike, axes: str, low: float = -np.inf, high: float = np.inf) -> dict[str, Any]:
    """What a field must be: its type, its axes by letter, and the range of its values.

    An axis with the same letter is as long in every field; those of a photograph, ``k h w H W``, have a cell at least.
    """
    return {"dtype": np.dtype(dtype), "axes": axes, "low": low, "high": high}


def _check_arrays(record: AnyRecord) -> None:
    """Every field against its rules."""
    lengths: dict[str, int] = {}
    for one in fields(record):
        value, rules = getattr(record, one.name), one.metadata
        found = f"{value.dtype} of shape {value.shape}" if isinstance(value, np.ndarray) else type(value).__name__
        wanted = isinstance(value, np.ndarray) and value.dtype == rules["dtype"]
        _check(wanted and value.ndim == len(rules["axes"]), f"{one.name} is {found}, not {_wanted(rules)}")
        if value.size == 0 and one.default_factory is not MISSING:
            continue
        for axis, length in zip(rules["axes"], value.shape):
            _check(length == lengths.setdefault(axis, length), f"{one.name} is {found}, which does not fit the others")
            _check(length > 0 or axis not in "khwHW", f"{one.name} is empty")
        _check(value.size == 0 or _inside(value, rules), f"{one.name} has values {_outside(rules)}")


def _inside(value: NDArray[Any], rules: Any) -> bool:
    # Both ends of values of which one is not a number are not either. Processors do not know float16.
    known = value.astype(np.float32) if value.dtype == np.float16 else value
    ends = np.array([known.min(), known.max()])
    return bool(np.isfinite(ends).all() and rules["low"] <= ends[0] and ends[1] <= rules["high"])


def _wanted(rules: Any) -> str:
    return f"{rules['dtype']} with axes {', '.join(rules['axes']) or 'none'}"


def _outside(rules: Any) -> str:
    limits = {"below": rules["low"], "above": rules["high"]}
    named = [f"{word} {limit:g}" for word, limit in limits.items() if np.isfinite(limit)]
    return " or ".join(["that are not finite", *named])


def _check_classes(class_ids: NDArray[np.int64]) -> None:
    _check(class_ids[0] >= 0 and class_ids[-1] < IGNORE, f"class_ids are {class_ids.tolist()}")
    _check(bool((np.diff(class_ids) > 0).all()), f"class_ids are {class_ids.tolist()}, not ascending")


def _stretched() -> NDArray[np.int64]:
    return np.array(0, dtype=np.int64)


def _none() -> NDArray[np.float32]:
    return np.empty((0, 0, 0), dtype=np.float32)


def _plain() -> NDArray[np.uint8]:
    return np.zeros((), np.uint8)


@dataclass(frozen=True)
class Cams:
    """Class activation maps of one image.

    Attributes:
        class_ids: ``(K-1,)`` foreground classes of the image, ascending, int64.
        cams: ``(K-1, h, w)`` float32, each map in [0, 1] with maximum 1 (or all 0 where nothing was activated).
        high_res: ``(K-1, H, W)`` float32, likewise, for whoever needs each pixel; empty where ``cams`` serve.
    """

    class_ids: NDArray[np.int64] = field(metadata=_rules(np.int64, "k"))
    cams: NDArray[np.float32] = field(metadata=_rules(np.float32, "khw", 0, 1 + ROUNDING))
    high_res: NDArray[np.float32] = field(default_factory=_none, metadata=_rules(np.float32, "kHW", 0, 1 + ROUNDING))

    def __post_init__(self) -> None:
        _check_arrays(self)
        _check_classes(self.class_ids)
        _check(int(self.class_ids[0]) != BACKGROUND, "cams of the background")

    def check_photograph(self, image: ImageRecord) -> None:
        """Refuse maps of other classes than the photograph shows, or of pixels of another one.

        Raises:
            DataError: they are.
        """
        _check_shown(self.class_ids.tolist(), image)
        if self.high_res.size:
            _check_grid(self.high_res.shape[1:], 1, image)

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

    offsets: NDArray[np.int64] = field(metadata=_rules(np.int64, "op", -IGNORE, IGNORE))
    weights: NDArray[np.float16] = field(metadata=_rules(np.float16, "ohw", 0, 1 + ROUNDING))
    boundary: NDArray[np.float16] = field(metadata=_rules(np.float16, "hw", 0, 1 + ROUNDING))
    features: NDArray[np.float16] = field(metadata=_rules(np.float16, "fhw"))
    stride: NDArray[np.int64] = field(default_factory=_stretched, metadata=_rules(np.int64, "", 0))

    def __post_init__(self) -> None:
        _check_arrays(self)
        _check(self.offsets.shape[1] == 2, f"offsets of shape {self.offsets.shape}")
        pairs = {(dy, dx) if (dy, dx) > (0, 0) else (-dy, -dx) for dy, dx in self.offsets.tolist()}
        _check(bool((self.offsets[:, 0] >= 0).all()), "offsets with a negative dy")
        _check(len(pairs - {(0, 0)}) == len(self.offsets), "offsets that have a pair of cells twice, or a cell itself")

    def check_photograph(self, image: ImageRecord) -> None:
        """Refuse a grid of whole cells that is that of another photograph.

        Raises:
            DataError: it is.
        """
        _check_grid(self.weights.shape[1:], int(self.stride), image)


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

    class_ids: NDArray[np.int64] = field(metadata=_rules(np.int64, "k"))
    scores: NDArray[np.float32] = field(metadata=_rules(np.float32, "khw", 0, LARGEST_SCORE))
    partial_labels: NDArray[np.uint8] = field(metadata=_rules(np.uint8, "hw"))
    losses: NDArray[np.float32] = field(metadata=_rules(np.float32, "sl"))
    logarithmic: NDArray[np.uint8] = field(default_factory=_plain, metadata=_rules(np.uint8, "", 0, 1))
    stride: NDArray[np.int64] = field(default_factory=_stretched, metadata=_rules(np.int64, "", 0))

    def __post_init__(self) -> None:
        _check_arrays(self)
        _check_classes(self.class_ids)
        _check(int(self.class_ids[0]) == BACKGROUND, "no background in front")
        others = np.setdiff1d(self.partial_labels, [*self.class_ids, IGNORE])
        _check(others.size == 0, f"partial_labels of the classes {others.tolist()}, which scores do not have")

    def check_photograph(self, image: ImageRecord) -> None:
        """Refuse scores of other classes than the photograph shows, or on the grid of another one.

        Raises:
            DataError: they are.
        """
        _check_shown(self.class_ids[1:].tolist(), image)
        _check_grid(self.scores.shape[1:], int(self.stride), image)

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

    class_ids: NDArray[np.int64] = field(metadata=_rules(np.int64, "k"))
    low: NDArray[np.float16] = field(metadata=_rules(np.float16, "kHW", 0, 1 + ROUNDING))
    high: NDArray[np.float16] = field(metadata=_rules(np.float16, "kHW", 0, 1 + ROUNDING))

    def __post_init__(self) -> None:
        _check_arrays(self)
        _check_classes(self.class_ids)
        _check(int(self.class_ids[0]) == BACKGROUND, "no background in front")


AnyRecord: TypeAlias = Cams | Affinity | Scores | SeedScores


def _check_shown(class_ids: list[int], image: ImageRecord) -> None:
    _check(class_ids == [*image.class_ids], f"it is of classes {class_ids}, the index says {[*image.class_ids]}")


def _check_grid(cells: tuple[int, ...], stride: int, image: ImageRecord) -> None:
    """A grid of whole cells covers the photograph as it is seen, and no more than that asks for."""
    size = image.seen
    fits = not stride or cells == tuple(-(-side // stride) for side in size)
    _check(fits, f"{cells[0]} x {cells[1]} cells of {stride} pixels, the index says {size[0]} x {size[1]} pixels")


Record = TypeVar("Record", Cams, Affinity, Scores, SeedScores)
PhotographRecord = TypeVar("PhotographRecord", Cams, Affinity, Scores)


def _has_default(record: AnyRecord, one: Field[Any]) -> bool:
    return one.default_factory is not MISSING and np.array_equal(getattr(record, one.name), one.default_factory())


def save_record(path: Path, record: AnyRecord, fingerprint: str) -> None:
    """Write the arrays of a record as ``.npz`` with the fingerprint of what made them; a default is left out."""
    arrays = {one.name: getattr(record, one.name) for one in fields(record) if not _has_default(record, one)}
    write_sealed(path, lambda file: np.savez(file, **arrays, fingerprint=np.array(fingerprint)))


def load_record(path: Path, kind: type[Record]) -> Record:
    """Read a record.

    Raises:
        DataError: the file is missing, broken, was changed after it was written, or holds something else.
    """
    with reading(path, "is broken", "delete it and run its stage again", "run the stage that makes it"):
        with path.open("rb") as file:
            check_seal(file)
            arrays: dict[str, Any] = read_npz(file)
        needed = {one.name for one in fields(kind) if one.default_factory is MISSING}
        return kind(**{name: arrays[name] for name in needed | set(arrays) - {"fingerprint"}})


def load_record_of(path: Path, kind: type[PhotographRecord], image: ImageRecord) -> PhotographRecord:
    """Read what a stage made of a photograph.

    Raises:
        DataError: as :func:`load_record`, or the record does not fit what the index says of the photograph.
    """
    record = load_record(path, kind)
    with reading(path, "is of something else", "run its stage again"):
        record.check_photograph(image)
    return record
