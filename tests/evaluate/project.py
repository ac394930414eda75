"""A project in which all that the evaluation reads was made: labels from the truth, with known mistakes."""

from __future__ import annotations

import zlib
from pathlib import Path

import numpy as np
from PIL import Image

from wsgcn.methods import Method
from wsgcn.nets.resnet_small import ResNetSmall
from wsgcn.ops.resize import grid_size, resize_maps
from wsgcn.store.files import write_json, write_table
from wsgcn.store.index import ImageRecord, Index, save_index
from wsgcn.store.label_maps import save_label_map
from wsgcn.store.paths import Artifacts
from wsgcn.store.records import Cams, Scores, save_record

STRIDE = 4


def read_mask(index: Index, image: ImageRecord) -> np.ndarray:
    """The mask that the fixture drew."""
    return np.array(Image.open(Path(index.root) / "SegmentationClass" / f"{image.id}.png"))


def build(root: Path, index: Index, *methods: Method) -> Artifacts:
    """Write every input of ``evaluate-labels`` and ``evaluate`` for some methods."""
    artifacts = Artifacts(root)
    save_index(artifacts.index, index)
    for method in methods:
        for image in index.split("train"):
            _write_image(artifacts, method, index, image)
        for stage, seconds in (("propagate", 0.25), ("crf", 0.05)):
            write_json(artifacts.summary(stage, method.name), {"images": 6, "seconds_per_image": seconds})
        checkpoint = artifacts.checkpoint("segtrain", method.name)
        checkpoint.parent.mkdir(parents=True, exist_ok=True)
        checkpoint.write_bytes(method.name.encode())
        rows = [(step, 1 / (step + 1), 0.01) for step in range(0, 40, 10)]
        write_table(artifacts.history("segtrain", method.name), ["step", "loss", "lr"], rows)
        if method.propagation.losses:
            write_losses(artifacts, method, index)
    return artifacts


def write_losses(artifacts: Artifacts, method: Method, index: Index, offset: float = 0.0) -> None:
    """One row a training image: total, fg, bg, ent, lap."""
    rows = [
        (image.id, offset + 1 + number / 8, 0.5, 0.25, 0.125, 0.0625)
        for number, image in enumerate(index.split("train"))
    ]
    write_table(artifacts.losses(method.name), ["id", "total", "fg", "bg", "ent", "lap"], rows)


def _write_image(artifacts: Artifacts, method: Method, index: Index, image: ImageRecord) -> None:
    mask = read_mask(index, image)
    grid = grid_size(*mask.shape, STRIDE)
    class_ids = np.array([0, *image.class_ids])
    hit = np.stack([(mask == one).astype(np.float32) for one in class_ids])
    maps = np.maximum(resize_maps(hit, grid), 0)
    cams = Cams(class_ids[1:], maps[1:].astype(np.float32))
    save_record(artifacts.arrays("cams", method.variant.name, image.id), cams, "")
    partial = np.full(grid, 255, dtype=np.uint8)
    losses = np.zeros((0, 5), dtype=np.float32)
    if method.propagation.partial_labels_used:
        confident = maps.max(axis=0) > 0.9
        partial[confident] = class_ids[maps.argmax(axis=0)][confident]
        losses = np.ones((3, 5), dtype=np.float32)
    save_record(artifacts.arrays("propagate", method.name, image.id), Scores(class_ids, maps, partial, losses), "")
    refined = np.where(mask == 255, 0, mask).astype(np.uint8)
    save_label_map(artifacts.label_map("crf", method.name, image.id), refined, "")


class FakeNetwork(bytes):
    """Stands for a network: its checkpoint's content."""

    backbone = ResNetSmall.__new__(ResNetSmall)


def fake_load(checkpoint: Path, device: object) -> FakeNetwork:
    """Stands for reading a network."""
    return FakeNetwork(checkpoint.read_bytes())


def fake_predict(network: bytes, rgb_u8: np.ndarray, *settings: object) -> np.ndarray:
    """Stands for the network's ``(C, H, W)`` probabilities: reddish pixels are discs, bluish ones crosses."""
    red, green, blue = (rgb_u8[:, :, channel].astype(np.float32) for channel in range(3))
    evidence = np.stack([np.full_like(red, 60), red - green, blue - green]) / (20 + zlib.crc32(network) % 5)
    powers = np.exp(evidence - evidence.max(axis=0))
    return (powers / powers.sum(axis=0)).astype(np.float32)
