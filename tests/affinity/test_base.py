"""An affinity that trains nothing."""

from dataclasses import replace
from typing import Literal

import numpy as np

from wsgcn.affinity.base import AffinityKind
from wsgcn.affinity.stage import train_affinity_network, write_affinity
from wsgcn.sections import Section
from wsgcn.store.files import HISTORY, read_table
from wsgcn.store.records import Affinity, load_record


class Alone(AffinityKind):
    """No cell has a neighbour, and the photograph is not read."""

    kind: Literal["alone"]
    train: None
    infer: Section

    def reads(self, image, photo):
        return []

    def graph(self, image, photo, network, device):
        assert not network.digest
        grid = np.zeros((2, 3), dtype=np.float16)
        return Affinity(np.array([[0, 1]]), grid[None], grid, grid[None])


def test_kind_without_training_has_an_empty_history_no_network_and_no_seeds(made, tiny_params, tiny_voc, tiny_index):
    variant = replace(tiny_params.variant("I"), affinity=Alone(kind="alone", train=None, infer=Section()))
    assert made.checkpoint("affinity-train", "I").is_file()  # another kind's
    train_affinity_network(tiny_params, made, variant)
    assert list(made.folder("affinity-train", "I").iterdir()) == []
    assert made.history("affinity-train", "I").read_text() == ",".join(HISTORY) + "\n"
    assert read_table(made.history("affinity-train", "I")) == []
    for photo in (tiny_voc / "JPEGImages").iterdir():
        photo.unlink()
    write_affinity(tiny_params, made, variant)
    for image in tiny_index.split("train"):
        record = load_record(made.arrays("affinity", "I", image.id), Affinity)
        assert record.offsets.tolist() == [[0, 1]]
