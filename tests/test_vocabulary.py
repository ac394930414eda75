"""The vocabulary: label values, classes, palette."""

import pytest

from wsgcn.vocabulary import BACKGROUND, IGNORE, LOSS_NAMES, VOC_CLASSES, palette


def test_classes_of_voc_and_losses_of_the_paper():
    assert VOC_CLASSES[BACKGROUND] == "background"
    assert len(set(VOC_CLASSES)) == 21
    assert LOSS_NAMES == ("total", "fg", "bg", "ent", "lap")


@pytest.mark.parametrize(
    ("class_id", "rgb"),
    [
        (BACKGROUND, (0, 0, 0)),
        (1, (128, 0, 0)),
        (2, (0, 128, 0)),
        (8, (64, 0, 0)),
        (15, (192, 128, 128)),
        (20, (0, 64, 128)),
        (IGNORE, (224, 224, 192)),
    ],
)
def test_palette_has_the_devkits_colours(class_id, rgb):
    assert tuple(palette()[3 * class_id : 3 * class_id + 3]) == rgb


def test_palette_has_256_different_colours():
    flat = palette()
    assert len(flat) == 768
    assert len({tuple(flat[i : i + 3]) for i in range(0, 768, 3)}) == 256
