"""A CAM source that trains nothing."""

from dataclasses import replace
from typing import Literal

import numpy as np

from wsgcn.cams.base import CamSource
from wsgcn.cams.stage import train_cam_source, write_cams
from wsgcn.sections import Section
from wsgcn.store.files import HISTORY, read_table
from wsgcn.store.records import Cams, load_record


class Flat(CamSource):
    """1 everywhere, and its photograph is not read."""

    kind: Literal["flat"]
    train: None
    infer: Section

    def reads(self, image, photo):
        return []

    def maps(self, image, photo, network, classes, device):
        assert not network.digest
        return np.ones((len(image.class_ids), 2, 3), dtype=np.float32)


def test_kind_without_training_has_an_empty_history_and_no_network(fresh, tiny_params, tiny_voc, tiny_index):
    variant = replace(tiny_params.variant("I"), cams=Flat(kind="flat", train=None, infer=Section()))
    assert variant.cams.backbone is None
    earlier = fresh.checkpoint("cams-train", "I")
    earlier.parent.mkdir(parents=True)
    earlier.write_bytes(b"another kind's")
    train_cam_source(tiny_params, fresh, variant)
    assert list(fresh.folder("cams-train", "I").iterdir()) == []
    assert fresh.history("cams-train", "I").read_text() == ",".join(HISTORY) + "\n"
    assert read_table(fresh.history("cams-train", "I")) == []
    for photo in (tiny_voc / "JPEGImages").iterdir():
        photo.unlink()
    write_cams(tiny_params, fresh, variant)
    for image in tiny_index.split("train"):
        record = load_record(fresh.arrays("cams", "I", image.id), Cams)
        assert record.class_ids.tolist() == list(image.class_ids)
        assert (record.cams == 1).all()
