"""What many tests need: the real parameters made small, a made-up VOC devkit, and its index.

Fixtures, each made anew for a test, so that a test may change or delete what it gets:

- ``tiny_voc``: folder of a VOC devkit with 6 training and 3 validation pictures of about 48 × 64 pixels.
- ``tiny_params``: the real ``params.yaml``, shrunk to seconds; ``dataset.root`` is ``tiny_voc``.
- ``tiny_index``: the index of ``tiny_voc``, as the stage ``dataset`` would write it.
- ``made``: the artifacts of a pipeline that has run on all that from ``dataset`` to ``crf``.

``changed(tiny_params, {"propagate.gcn-i.steps": 3})`` gives the same parameters with other values.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml
from hypothesis import settings
from PIL import Image

from wsgcn.params import Params, parse_params
from wsgcn.store.index import ImageRecord, Index, save_index
from wsgcn.store.paths import Artifacts
from wsgcn.vocabulary import palette

ROOT = Path(__file__).parents[1]
TINY_CLASSES = ("background", "disc", "cross")
TINY_SHOWN = {
    "t0": (1,),
    "t1": (2,),
    "t2": (1, 2),
    "t3": (1,),
    "t4": (2,),
    "t5": (1, 2),
    "v0": (1,),
    "v1": (2,),
    "v2": (1, 2),
}
"""Foreground classes by picture; ``t…`` are in the split ``train``, ``v…`` in ``val``."""

settings.register_profile("wsgcn", deadline=None, max_examples=25, derandomize=True)
settings.load_profile("wsgcn")

terminal = 2
"""File for what is said when this process ends at once; pytest keeps to itself what a test writes to file 2."""


def pytest_configure() -> None:
    """Keep the terminal before pytest captures it."""
    global terminal
    terminal = os.dup(terminal)


@pytest.fixture(autouse=True, scope="session")
def _one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


# ---------------------------------------------------------------- parameters


def real_content() -> dict[str, Any]:
    """The repository's own ``params.yaml``, as YAML gives it."""
    return yaml.safe_load((ROOT / "params.yaml").read_text())


def changed(params: Params, values: Mapping[str, Any]) -> Params:
    """The same parameters with other values, by dotted key, checked as a file's would be."""
    content = params.model_dump(mode="json")
    for key, value in values.items():
        section = content
        *path, last = key.split(".")
        for part in path:
            section = section[part]
        assert last in section, f"{key} is no parameter"
        section[last] = value
    return parse_params(content, "test")


DATASET_KEYS = ("train_split", "score_split", "val_split", "max_megapixels", "work_megapixels")
"""Of section ``dataset``, what every kind has besides its name and classes."""


@pytest.fixture
def tiny_params(tiny_voc: Path, tmp_path: Path) -> Params:
    """The real ``params.yaml`` for ``tiny_voc``, made small by ``chain.shrunk``, with its own store."""
    from tests import chain

    content = real_content()
    content["dataset"] = {
        "kind": "voc",
        "name": "tiny",
        "root": str(tiny_voc),
        "classes": TINY_CLASSES,
        **{key: content["dataset"][key] for key in DATASET_KEYS},
    }
    content = chain.shrunk(content, tmp_path / "store")
    for entry in (*content["cams"].values(), *content["affinity"].values()):
        entry["train"]["batch"] = 3
    for entry in content["affinity"].values():
        entry["train"]["radius"] = entry["infer"]["radius"] = 3
    for entry in content["propagate"].values():
        if entry["kind"] == "gcn":
            entry["steps"] = 5
        entry.get("walk", entry)["log2_steps"] = 3
    content["segtrain"]["deeplab"]["weights"] = None
    masks = str(tiny_voc / "SegmentationClass")
    content["evaluate"] |= {"classes": TINY_CLASSES, "panels": 2, "masks": masks}
    return parse_params(content, "params.yaml")


# ---------------------------------------------------------------- a made-up VOC devkit


@pytest.fixture
def tiny_voc(tmp_path: Path) -> Path:
    """A VOC devkit of 9 pictures with discs (class 1) and crosses (class 2); ``TINY_SHOWN`` says which shows what.

    Holds ``JPEGImages/<id>.jpg``, ``SegmentationClass/<id>.png``, ``Annotations/<id>.xml`` and
    ``ImageSets/Segmentation/{train,val,trainval}.txt``.
    """
    root = tmp_path / "VOC2012"
    for folder in ("JPEGImages", "SegmentationClass", "Annotations", "ImageSets/Segmentation"):
        (root / folder).mkdir(parents=True)
    for number, (image_id, class_ids) in enumerate(TINY_SHOWN.items()):
        _write_picture(root, image_id, class_ids, number)
    for split, prefixes in (("train", "t"), ("val", "v"), ("trainval", "tv")):
        ids = [image_id for image_id in TINY_SHOWN if image_id[0] in prefixes]
        (root / "ImageSets" / "Segmentation" / f"{split}.txt").write_text("".join(f"{one}\n" for one in ids))
    return root


def _write_picture(root: Path, image_id: str, class_ids: tuple[int, ...], number: int) -> None:
    height, width = _tiny_size(number)
    random = np.random.default_rng(number)
    rgb = random.normal((90, 140, 90), 12, (height, width, 3))
    mask = np.zeros((height, width), dtype=np.uint8)
    rows, columns = np.mgrid[:height, :width]
    boxes = []
    for place, class_id in enumerate(class_ids):
        y, x = height // 2 + int(random.integers(-6, 7)), (2 * place + 1) * width // (2 * len(class_ids))
        dy, dx = np.abs(rows - y), np.abs(columns - x)
        inside = dy**2 + dx**2 <= 11**2 if class_id == 1 else (np.minimum(dy, dx) <= 3) & (np.maximum(dy, dx) <= 11)
        around = (dy <= 12) & (dx <= 12) & ~inside & (random.random((height, width)) < 0.05)
        rgb[inside] = random.normal(((220, 60, 50), (50, 70, 220))[class_id - 1], 12, (int(inside.sum()), 3))
        mask[around], mask[inside] = 255, class_id
        boxes.append((TINY_CLASSES[class_id], x - 11, y - 11, x + 11, y + 11))
    Image.fromarray(rgb.clip(0, 255).astype(np.uint8)).save(root / "JPEGImages" / f"{image_id}.jpg", quality=95)
    image = Image.fromarray(mask)
    image.putpalette(palette())
    image.save(root / "SegmentationClass" / f"{image_id}.png")
    (root / "Annotations" / f"{image_id}.xml").write_text(_annotation(image_id, (height, width), boxes))


def _tiny_size(number: int) -> tuple[int, int]:
    """Rows and columns of a picture: some are odd, and the fifth stands upright."""
    return (64, 49) if number == 4 else (48 - number % 3, 64 - number % 2)


def _annotation(image_id: str, size: tuple[int, int], boxes: list[tuple[str, int, int, int, int]]) -> str:
    objects = "".join(
        f"<object><name>{name}</name><difficult>0</difficult><bndbox><xmin>{left}</xmin><ymin>{top}</ymin>"
        f"<xmax>{right}</xmax><ymax>{bottom}</ymax></bndbox></object>\n"
        for name, left, top, right, bottom in boxes
    )
    return (
        f"<annotation><filename>{image_id}.jpg</filename>\n"
        f"<size><width>{size[1]}</width><height>{size[0]}</height><depth>3</depth></size>\n"
        f"<segmented>1</segmented>\n{objects}</annotation>\n"
    )


@pytest.fixture
def tiny_index(tiny_voc: Path) -> Index:
    """The index of ``tiny_voc``; its ``root`` is the devkit's absolute path."""
    images = tuple(
        ImageRecord(
            id=image_id,
            photo=f"JPEGImages/{image_id}.jpg",
            height=_tiny_size(number)[0],
            width=_tiny_size(number)[1],
            class_ids=class_ids,
            splits=("train" if image_id.startswith("t") else "val",),
        )
        for number, (image_id, class_ids) in enumerate(TINY_SHOWN.items())
    )
    return Index("tiny", str(tiny_voc), TINY_CLASSES, images)


# ---------------------------------------------------------------- a pipeline that has run


@pytest.fixture(scope="session")
def _store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("made") / "artifacts"


@pytest.fixture
def made(_store: Path, tmp_path: Path, tiny_params: Params, tiny_index: Index) -> Artifacts:
    """Every stage from ``dataset`` to ``crf`` has run on ``tiny_voc`` with ``tiny_params``; really so only once."""
    from tests import chain

    artifacts = Artifacts(tmp_path / "artifacts")
    if not _store.exists():
        save_index(artifacts.index, tiny_index)
        apart = changed(tiny_params, {"runtime.store": str(_store.parent / "store")})  # a test's own store is empty
        chain.run_stages(chain.UP_TO_CRF[1:], apart, artifacts)
        shutil.copytree(artifacts.root, _store)
    shutil.copytree(_store, artifacts.root, dirs_exist_ok=True)
    save_index(artifacts.index, tiny_index)
    return artifacts
