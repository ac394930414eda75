"""Every format that is read: how a whole file of it is made, what reads it, and what damaged ones may look like.

``check`` is what must hold of each: it is processed, or named in one line; it stays as it is, and nothing is left over.
"""

from __future__ import annotations

import faulthandler
import json
import struct
import warnings
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import torch
from hypothesis import strategies as st
from PIL import Image

from tests import conftest
from tests.conftest import ROOT, TINY_CLASSES
from wsgcn.cams.imported_maps import require_import
from wsgcn.cams.importing import ImportCams
from wsgcn.crf.refine import refine
from wsgcn.dataset.devkit import read_devkit
from wsgcn.dataset.tags import read_tags
from wsgcn.errors import WsgcnError
from wsgcn.evaluate.labels import cam_labels
from wsgcn.export.folder import claim_folder
from wsgcn.nets.build import build_backbone
from wsgcn.nets.deeplab import build_deeplab, load_deeplab
from wsgcn.ops.grid import Grid, covering_scores
from wsgcn.params import load_params
from wsgcn.propagate.graph import to_torch, walk_operator
from wsgcn.propagate.walk import graph_of, walk_scores
from wsgcn.report.load import load_result
from wsgcn.report.pictures import panel_picture
from wsgcn.report.results import LABELS_PART
from wsgcn.segtrain.sample import confident
from wsgcn.store.checkpoints import read_unfinished, save_checkpoint, save_unfinished
from wsgcn.store.counts import PhotographCounts, load_counts, save_counts
from wsgcn.store.devkit import read_split
from wsgcn.store.files import HISTORY, write_json, write_table
from wsgcn.store.finished import FinishedWork
from wsgcn.store.index import ImageRecord, load_index
from wsgcn.store.label_maps import load_labels_of, load_mask, save_label_map
from wsgcn.store.learned import read_learned, sentence, untaught
from wsgcn.store.paths import Artifacts
from wsgcn.store.photos import load_photo, photo_size, photo_turned
from wsgcn.store.records import Affinity, Cams, Scores, SeedScores, load_record, load_record_of, save_record
from wsgcn.store.saliency import load_saliency
from wsgcn.store.seal import write_sealed
from wsgcn.tracking.contents import AFFINITY_HISTORY, LOSSES, curves, numbers_in
from wsgcn.tracking.losses import write_losses
from wsgcn.weights.mxnet import read_params

HANGS = 60.0
"""Seconds after which a reader of one small file hangs."""
IMAGE = ImageRecord("a", "a.jpg", 24, 32, (1, 2), ("train",))
CLASSES = len(TINY_CLASSES)
CRF = SimpleNamespace(
    softmax=False, stride=1, iterations=1, gaussian_sxy=1.0, gaussian_compat=3.0, bilateral_sxy=20.0,
    bilateral_srgb=3.0, bilateral_compat=4.0,
)  # fmt: skip
NETWORK = {"backbone": "resnet-small", "output_stride": 8, "classes": CLASSES, "dilations": [1, 2]}
RGB = np.random.default_rng(0).integers(0, 256, (24, 32, 3), np.uint8)


# ---------------------------------------------------------------- how content is damaged

NASTY_BYTES = st.sampled_from(
    [
        *(b"\0", b"\xff" * 4, b"\0" * 64, b"[" * 3000, b"(" * 3000, b"{" * 3000, b"9" * 5000, b"\x7f\xf8" * 8),
        *(b'\r\n,"\n', b"nan", b"-1", b"1e999", b"\xf0\x80", b"null", b"!!int x", b"!!timestamp 2024-13-45"),
        *(b"!!bool maybe", b"&a [*a]", b"<!DOCTYPE x>", b"&amp;", b"../../x", b"PK\x03\x04", b"\x89PNG"),
        *(b"0x" + b"f" * 6000, struct.pack(">II", 60000, 60000)),
    ]
)
"""What readers stumble over."""

EDITS = st.lists(
    st.tuples(
        st.sampled_from(["cut", "put", "replace", "flip", "repeat", "drop"]),
        st.floats(0, 1, exclude_max=True),
        st.integers(1, 40),
        NASTY_BYTES | st.binary(min_size=1, max_size=8),
    ),
    min_size=1,
    max_size=4,
)


def edited(content: bytes, edits: list[tuple[str, float, int, bytes]]) -> bytes:
    """Content with bytes cut off, put in, replaced, flipped, repeated or dropped."""
    for kind, place, length, given in edits:
        at = int(place * len(content))
        before, part, after = content[:at], content[at : at + length], content[at + length :]
        content = {
            "cut": before,
            "put": before + given + part + after,
            "replace": before + given + content[at + len(given) :],
            "flip": before + bytes(one ^ 0xFF for one in part) + after,
            "repeat": before + part * 3 + after,
            "drop": before + after,
        }[kind]
    return content


NASTY_ARRAYS: list[Any] = [
    *(np.float32(np.inf), np.float32(np.nan), np.float32(-1), np.float32(1e38), np.float16(-1), np.uint8(7)),
    *(np.int64(-5), np.int64(2**62), np.complex64(1j), "text", np.array({}, dtype=object), np.array([], np.float32)),
    *(np.ones((2, 0, 3), np.float32), np.array([5, 1]), np.array([[0, 0], [0, 0]]), np.ones((3, 6, 8))),
    *(np.ones((2, 600, 800), np.float32), "dtype"),
]
NASTY_VALUES: list[Any] = [
    *(None, True, -1, 0, 2.5, 1e300, 10**30, float("inf"), "", "x", "../x", "\0", [], [[]], {}, [1, "x"]),
    *({"a": {}}, ["x"] * 3, -(2**63)),
]


def spoilt_arrays(arrays: dict[str, Any], name: str, how: Any) -> dict[str, Any]:
    """Arrays of which one has a value that it must not have, another type, or is something else."""
    value = np.array(arrays[name])
    if isinstance(how, str) and how == "dtype" and value.dtype.kind in "iuf":
        value = value.astype(np.float64)
    elif isinstance(how, np.number) and value.dtype.kind in "iuf" and value.size:
        with np.errstate(all="ignore"), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            value.flat[-1] = np.array(how).astype(value.dtype)
    else:
        value = np.array(how)
    return arrays | {name: value}


def replaced(content: Any, place: float, value: Any) -> Any:
    """Nested mappings and lists with another value in one place."""
    spots: list[tuple[Any, ...]] = []

    def find(node: Any, way: tuple[Any, ...]) -> None:
        spots.append(way)
        for key in node if isinstance(node, dict) else range(len(node)) if isinstance(node, list) else ():
            find(node[key], (*way, key))

    find(content, ())
    way = spots[int(place * len(spots))]
    if not way:
        return value
    copy = json.loads(json.dumps(content))
    node = copy
    for key in way[:-1]:
        node = node[key]
    node[way[-1]] = value
    return copy


# ---------------------------------------------------------------- files and their readers


@dataclass(frozen=True)
class Case:
    """A kind of file.

    Attributes:
        name: of the file.
        make: writes a whole one.
        use: reads it, and does with it what a stage does.
        arrays, values: what is in it, where damage beneath the format is to be tried too; written by ``write``.
        names: the error names the file; False where a whole folder is looked through.
    """

    name: str
    make: Callable[[Path], object]
    use: Callable[[Path], object]
    arrays: dict[str, Any] = field(default_factory=dict)
    values: Any = None
    write: Callable[[Path, Any], object] = lambda path, content: path.write_text(json.dumps(content))  # NaN too
    names: bool = True


def savez(path: Path, arrays: dict[str, Any]) -> None:
    """Arrays as an ``.npz`` of ours."""
    write_sealed(path, lambda file: np.savez(file, allow_pickle=True, **arrays))


CAMS = Cams(np.array([1, 2]), np.random.default_rng(0).random((2, 6, 8), np.float32))
AFFINITY = Affinity(
    np.array([[0, 1], [1, 0], [1, -1]]), np.full((3, 6, 8), 0.5, np.float16), np.zeros((6, 8), np.float16),
    np.ones((4, 6, 8), np.float16), np.array(4),
)  # fmt: skip
SCORES = Scores(
    np.array([0, 1, 2]), np.random.default_rng(1).random((3, 6, 8), np.float32), np.full((6, 8), 255, np.uint8),
    np.ones((2, 5), np.float32), stride=np.array(4),
)  # fmt: skip
SEEDS = SeedScores(np.array([0, 1]), np.ones((2, 24, 32), np.float16), np.ones((2, 24, 32), np.float16))
COUNTS = PhotographCounts(("a", "b"), TINY_CLASSES, {"cam": np.ones((2, 3, 3), np.int32)})
LABELS = np.random.default_rng(2).integers(0, 3, (24, 32), np.uint8)


def _cams(path: Path) -> None:
    record = load_record_of(path, Cams, IMAGE)
    Grid((6, 8), (24, 32), 4).pooled(record.cams)
    cam_labels(record, 0.3, (24, 32))


def _affinity(path: Path) -> None:
    record = load_record_of(path, Affinity, IMAGE)
    operator = to_torch(walk_operator(graph_of(record), 8.0))
    assert np.isfinite(walk_scores(np.ones((2, 6, 8), np.float32), operator, 1)).all()


def _scores(path: Path) -> None:
    record = load_record_of(path, Scores, IMAGE)
    covering = covering_scores(record.scores, (24, 32), int(record.stride), bool(record.logarithmic))
    refine(record.class_ids, covering, RGB, CRF, bool(record.logarithmic))
    confident(LABELS, record, 0.1)


def _foreign(layout: str) -> Callable[[Path], object]:
    def use(path: Path) -> None:
        importing = ImportCams(path.parent / "out", "", FinishedWork(path.parent), path.parent, layout, TINY_CLASSES)
        importing.compute(IMAGE)

    return use


def _pickled(content: Any) -> Callable[[Path], object]:
    return lambda path: np.save(path, content, allow_pickle=True)


def _photo(path: Path) -> None:
    photo_size(path)
    photo_turned(path)
    assert load_photo(path).dtype == np.uint8


def _picture(form: str, mode: str = "RGB", **options: Any) -> Callable[[Path], object]:
    return lambda path: Image.fromarray(RGB).convert(mode).save(path, format=form, **options)


def _png(labels: np.ndarray) -> Callable[[Path], object]:
    return lambda path: Image.fromarray(labels).save(path, format="PNG")


def _annotation(path: Path) -> None:
    root = path.parents[1]
    (root / "JPEGImages").mkdir()
    (root / "ImageSets/Segmentation").mkdir(parents=True)
    Image.fromarray(RGB).save(root / "JPEGImages/a.jpg")
    (root / "ImageSets/Segmentation/train.txt").write_text("a\n")
    path.write_text("<annotation><object><name>disc</name></object></annotation>")


def _history(path: Path) -> None:
    curves({AFFINITY_HISTORY: path}, SimpleNamespace(propagation=SimpleNamespace(kind="gcn")))
    _report(path, path.parents[1])


def _losses(path: Path) -> None:
    curves({LOSSES: path}, SimpleNamespace(propagation=SimpleNamespace(kind="gcn")))
    write_losses(path, path.parents[2] / "made")
    _report(path, path.parents[1])


METHOD = SimpleNamespace(
    name="M", variant=SimpleNamespace(name="V", rounds=("V",)),
    propagation=SimpleNamespace(losses=("total", "fg"), kind="gcn"),
)  # fmt: skip


def _report(path: Path, root: Path) -> None:
    load_result(Artifacts(root), METHOD, [], [])


def _counted(path: Path) -> None:
    numbers_in({"scores/labels.json": path})
    load_result(Artifacts(path.parents[2]), METHOD, [LABELS_PART], [])


def _learned(path: Path) -> None:
    record = read_learned(Artifacts(path.parents[2]), "segtrain", "M")
    if record:
        sentence("segtrain", "M", record)
        untaught("segtrain", "M", record)


def _weights(path: Path) -> None:
    build_backbone("resnet-small", 8, str(path))


def _save_weights(path: Path) -> None:
    torch.save(build_backbone("resnet-small", 8, None).state_dict(), path)


def _save_old_weights(path: Path) -> None:
    state = build_backbone("resnet-small", 8, None).state_dict()
    torch.save(state, path, _use_new_zipfile_serialization=False)


def _save_mxnet(path: Path) -> None:
    name = b"arg:weight"
    array = struct.pack("<IiIqq", 0xF993FAC9, 0, 2, 3, 4) + struct.pack("<iii", 1, 0, 0) + bytes(48)
    path.write_bytes(struct.pack("<QQQ", 0x112, 0, 1) + array + struct.pack("<QQ", 1, len(name)) + name)


PHOTOGRAPH = {"photo": "a.jpg", "height": 3, "width": 4, "class_ids": [1], "splits": ["train"], "digest": ""}
INDEX = {
    "name": "tiny",
    "root": "root",
    "class_names": [*TINY_CLASSES],
    "images": [{"id": one, **PHOTOGRAPH} for one in "ab"],
}
LEARNED = {"balanced_accuracy": 0.9, "chance": 0.5, "photographs": 3, "kept": 2, "updates": 4, "held_out": True}
NUMBERS = {"cam_miou": 0.5, "pseudo_iou": {"cat": 0.5, "dog": None}, "classes": ["cat", "dog"], "images": 3}


def _save_network(path: Path) -> None:
    torch.manual_seed(0)
    save_checkpoint(path, "segtrain", NETWORK, build_deeplab(NETWORK, None))


CASES = {
    "photograph.jpg": Case("a.jpg", _picture("JPEG", quality=80), _photo),
    "photograph.png": Case("a.png", _picture("PNG"), _photo),
    "photograph.tif": Case("a.tif", _picture("TIFF", compression="tiff_lzw"), _photo),
    "photograph.webp": Case("a.webp", _picture("WEBP"), _photo),
    "mask.png": Case("a.png", _png(LABELS), lambda path: load_mask(path, IMAGE, CLASSES)),
    "labels.png": Case(
        "a.png", lambda path: save_label_map(path, LABELS, "f"), lambda path: load_labels_of(path, IMAGE, CLASSES)
    ),
    "saliency.png": Case("a.png", _png(LABELS), lambda path: load_saliency(str(path.parent), IMAGE)),
    "panel.png": Case("a.png", _picture("PNG"), lambda path: panel_picture(path, path.parent)),
    "annotation.xml": Case(
        "VOC/Annotations/a.xml", _annotation, lambda path: read_devkit("tiny", path.parents[1], TINY_CLASSES, ["train"])
    ),
    "split.txt": Case(
        "VOC/ImageSets/Segmentation/train.txt",
        lambda path: path.write_text("a\nb\n"),
        lambda path: read_split(path.parents[2], "train", ""),
    ),
    "tags.csv": Case(
        "tags.csv",
        lambda path: path.write_text('image,labels\na.jpg,cat;dog\n"b, c.jpg",cat\n'),
        lambda path: read_tags(path, "image", "labels"),
    ),
    "history.csv": Case(
        "affinity-train/V.history.csv",
        lambda path: write_table(path, HISTORY, [(1, 0.5, 0.1), (2, 0.4, 0.05)]),
        _history,
    ),
    "losses.csv": Case(
        "losses/M.csv",
        lambda path: write_table(path, ("id", "total", "fg"), [("a", 0.5, 0.1), ("b", 0.2, 0.3)]),
        _losses,
    ),
    "confusion.csv": Case(
        "evaluate-labels/M/confusion.csv",
        lambda path: write_table(path, ("actual", "predicted", "share"), [("a", "a", 0.5), ("a", "b", 0.5)]),
        lambda path: _report(path, path.parents[2]),
    ),
    "cams.npz": Case("a.npz", lambda path: save_record(path, CAMS, "f"), _cams, vars(CAMS), write=savez),
    "affinity.npz": Case(
        "a.npz", lambda path: save_record(path, AFFINITY, "f"), _affinity, vars(AFFINITY), write=savez
    ),
    "scores.npz": Case("a.npz", lambda path: save_record(path, SCORES, "f"), _scores, vars(SCORES), write=savez),
    "seeds.npz": Case(
        "a.npz",
        lambda path: save_record(path, SEEDS, "f"),
        lambda path: load_record(path, SeedScores),
        vars(SEEDS),
        write=savez,
    ),
    "counts.npz": Case(
        "a.npz",
        lambda path: save_counts(path, COUNTS),
        load_counts,
        {"ids": np.array(["a", "b"]), "classes": np.array(TINY_CLASSES), **COUNTS.steps},
        write=savez,
    ),
    "foreign.npz": Case(
        "a.npz",
        lambda path: np.savez_compressed(path, disc=np.ones((6, 8)), cross=np.ones((6, 8))),
        _foreign("npz"),
        {"disc": np.ones((6, 8)), "cross": np.ones((6, 8))},
        write=lambda path, arrays: np.savez(path, allow_pickle=True, **arrays),
    ),
    "irnet.npy": Case(
        "a.npy", _pickled({"keys": np.array([0, 1]), "cam": np.ones((2, 6, 8), np.float32)}), _foreign("irnet")
    ),
    "psa.npy": Case(
        "a.npy", _pickled({0: np.ones((6, 8), np.float32), 1: np.ones((6, 8), np.float32)}), _foreign("psa")
    ),
    "index.json": Case("index.json", lambda path: write_json(path, INDEX), load_index, values=INDEX),
    "learned.json": Case("learned/segtrain/M.json", lambda path: write_json(path, LEARNED), _learned, values=LEARNED),
    "scores.json": Case(
        "evaluate-labels/M/scores.json", lambda path: write_json(path, NUMBERS), _counted, values=NUMBERS
    ),
    "import.json": Case(
        "import.json",
        lambda path: write_json(path, {"classes": [*TINY_CLASSES]}),
        lambda path: require_import(path.parent, TINY_CLASSES),
        values={"classes": [*TINY_CLASSES]},
        names=False,
    ),
    "export.json": Case(
        "out/wsgcn-export.json",
        lambda path: write_json(path, {"format": "png", "method": "M", "files": ["a.png"]}),
        lambda path: claim_folder(path.parent, "png", "M", ["a.png"]),
        values={"format": "png", "method": "M", "files": ["a.png"]},
        names=False,
    ),
    "params.yaml": Case("params.yaml", lambda path: path.write_bytes((ROOT / "params.yaml").read_bytes()), load_params),
    "network.pt": Case(
        "checkpoint.pt",
        _save_network,
        lambda path: load_deeplab(path, torch.device("cpu")),
        values=NETWORK,
        write=lambda path, values: save_checkpoint(
            path, "segtrain", values if isinstance(values, dict) else {"settings": values}, torch.nn.Conv2d(3, 3, 1)
        ),
    ),
    "unfinished.pt": Case(
        "a.pt", lambda path: save_unfinished(path, {"step": 3, "weights": torch.ones(3)}), read_unfinished
    ),
    "weights.pth": Case("a.pth", _save_weights, _weights),
    "old-weights.pth": Case("a.pth", _save_old_weights, _weights),
    "mxnet.params": Case("a.params", _save_mxnet, read_params),
}


def whole(case: Case, folder: Path) -> Path:
    """A whole file of a case in a new folder."""
    path = folder / case.name
    path.parent.mkdir(parents=True, exist_ok=True)
    case.make(path)
    return path


@contextmanager
def no_hang() -> Iterator[None]:
    """End this process, after it has said where it was, if the block takes longer than :data:`HANGS`.

    Nothing milder gets out of a loop in native code. A parallel pytest names the test whose process ended. Takes the
    place of pytest's option ``faulthandler_timeout``, which has the one timer that there is and which we do not set.
    """
    faulthandler.dump_traceback_later(HANGS, exit=True, file=conftest.terminal)
    try:
        yield
    finally:
        faulthandler.cancel_dump_traceback_later()


def check(case: Case, path: Path) -> bool:
    """Whether a file is processed; else it must be named in one line. It stays as it is, and nothing lies beside it."""
    before, beside = path.read_bytes(), sorted(path.parent.iterdir())
    try:
        with no_hang():
            case.use(path)
        processed = True
    except WsgcnError as error:
        processed, said = False, str(error)
        assert "\n" not in said
        assert 0 < len(said) < 2000
        assert path.name in said or not case.names, said
    assert path.read_bytes() == before or case.name == "out/wsgcn-export.json"
    assert sorted(path.parent.iterdir()) == beside
    return processed


def png_of_size(width: int, height: int, mode: int = 3) -> bytes:
    """A PNG whose header says that it is that large, and which has no more than a few bytes."""

    def chunk(word: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + word + content + struct.pack(">I", zlib.crc32(word + content))

    header = struct.pack(">IIBBBBB", width, height, 8, mode, 0, 0, 0)
    palette = chunk(b"PLTE", bytes(768)) if mode == 3 else b""
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + palette
        + chunk(b"IDAT", zlib.compress(bytes(64)))
        + chunk(b"IEND", b"")
    )
