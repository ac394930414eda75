"""The shared fixtures are what they say."""

import numpy as np
from PIL import Image

from tests.conftest import TINY_SHOWN


def test_tiny_index_describes_tiny_voc(tiny_voc, tiny_index):
    for image in tiny_index.images:
        with Image.open(tiny_index.photo_path(image)) as photo:
            assert photo.size == (image.width, image.height)
        mask = np.array(Image.open(tiny_voc / "SegmentationClass" / f"{image.id}.png"))
        assert mask.shape == (image.height, image.width)
        assert set(np.unique(mask)) - {0, 255} == set(image.class_ids)
        xml = (tiny_voc / "Annotations" / f"{image.id}.xml").read_text()
        assert [name for name in ("disc", "cross") if name in xml] == [
            tiny_index.class_names[one] for one in image.class_ids
        ]
    listed = (tiny_voc / "ImageSets" / "Segmentation" / "trainval.txt").read_text().split()
    assert listed == list(TINY_SHOWN) == [image.id for image in tiny_index.images]


def test_tiny_params_point_to_tiny_voc(tiny_params, tiny_voc, tiny_index):
    assert tiny_params.dataset.root == str(tiny_voc) == tiny_index.root
    assert tiny_params.dataset.classes == tiny_index.class_names
    assert tiny_params.runtime.workers == 1
    assert [len(tiny_index.split(name)) for name in (tiny_params.dataset.train_split, "val")] == [6, 3]
