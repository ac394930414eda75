"""CAMs on disk; what every per-image stage promises is in ``tests/test_stages.py``."""

import pytest

from tests import chain
from tests.conftest import real_content
from wsgcn.ops.resize import grid_size
from wsgcn.store.files import read_json
from wsgcn.store.index import Index, save_index
from wsgcn.store.records import Cams, load_record


@pytest.mark.parametrize("variant", real_content()["variants"])
def test_every_training_photograph_gets_maps_on_its_grid(made, tiny_params, tiny_index, variant):
    images = tiny_index.split("train")
    assert len(chain.contents(made.folder("cams", variant))) == len(images) == 6
    for image in images:
        record = load_record(made.arrays("cams", variant, image.id), Cams)
        stride = tiny_params.variant(variant).cams.infer.stride
        assert record.class_ids.tolist() == list(image.class_ids)
        assert record.cams.shape == (len(image.class_ids), *grid_size(image.height, image.width, stride))
        assert record.cams.min() >= 0
        assert set(record.cams.max(axis=(1, 2))) <= {0, 1}
    summary = read_json(made.summary("cams", variant))
    assert summary["images"] == 6
    assert summary["seconds_per_image"] > 0


def test_changed_labels_of_an_image_make_its_maps_again(made, tiny_params, tiny_index):
    when = chain.times(made.folder("cams", "I"))
    images = tuple(
        image if image.id != "t1" else type(image)(**{**image.__dict__, "class_ids": (1, 2)})
        for image in tiny_index.images
    )
    save_index(made.index, Index("changed", tiny_index.root, tiny_index.class_names, images))
    chain.run_stage("cams", "I", tiny_params, made)
    now = chain.times(made.folder("cams", "I"))
    assert [one for one in now if now[one] != when[one]] == ["t1.npz"]
