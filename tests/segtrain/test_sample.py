"""Which pixels of the pseudo labels teach the network, and what a sample is."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from wsgcn.errors import DataError
from wsgcn.nets.base import to_input
from wsgcn.segtrain.sample import PseudoLabels, SegmentationSample, confident
from wsgcn.store.index import ImageRecord
from wsgcn.store.label_maps import save_label_map
from wsgcn.store.records import Scores, save_record

RECORD = ImageRecord("a", "a.jpg", 1, 2, (2, 5), ("train",))
SCORES = Scores.not_learned(np.array([0, 2, 5]), np.float32([[[4, 1]], [[4, 2]], [[0, 7]]]))
"""Of two cells: half background and half class 2; and a tenth, a fifth and seven tenths."""


@pytest.mark.parametrize(
    ("labels", "least", "kept"),
    [
        ([[0, 5]], 0.5, [[0, 5]]),
        ([[2, 5]], 0.6, [[255, 5]]),
        ([[2, 2]], 0.3, [[2, 255]]),
        ([[5, 0]], 0.1, [[255, 0]]),
        ([[255, 5]], 0.4, [[255, 5]]),
        ([[0, 5]], 0.8, [[255, 255]]),
    ],
)
def test_labels_with_too_small_a_share_of_the_scores_are_left_out(labels, least, kept):
    found = confident(np.uint8(labels), SCORES, least)
    assert found.dtype == np.uint8
    assert found.tolist() == kept


def test_scores_are_enlarged_before_they_are_compared():
    labels = np.full((2, 4), 5, np.uint8)
    assert (confident(labels, SCORES, 0.5) == 5).tolist() == [[False, False, True, True]] * 2


def test_logarithms_are_enlarged_where_the_record_says_so():
    """A quarter of the way from a certain cell, the least share of one class is far below that of a straight line."""
    scores = np.float32([[[0.999, 0.5]], [[0.001, 0.5]]])
    record, labels = Scores.not_learned(np.array([0, 5]), scores), np.full((1, 5), 5, np.uint8)
    assert confident(labels, record, 0.04).tolist() == [[255, 5, 5, 5, 5]]
    logarithmic = replace(record, logarithmic=np.array(1, np.uint8))
    assert confident(labels, logarithmic, 0.04).tolist() == [[255, 255, 255, 5, 5]]


def test_whole_cells_keep_their_pixels():
    """Two cells of 4 pixels over 6: the second one's centre is between pixels 5 and 6."""
    labels = np.full((1, 6), 5, np.uint8)
    whole = replace(SCORES, stride=np.array(4))
    shares = [7 * at / (8 + 2 * at) for at in (0, 0, 0.125, 0.375, 0.625, 0.875)]
    for least in (0.1, 0.2, 0.4, 0.55):
        kept = (confident(labels, whole, least) == 5).tolist()
        assert kept == [[share >= least for share in shares]]


@pytest.fixture
def saved(tmp_path):
    def pseudo_labels(min_confidence):
        return PseudoLabels(tmp_path / "crf", tmp_path / "propagate", min_confidence)

    save_label_map(tmp_path / "crf" / "a.png", np.uint8([[2, 5]]), "")
    return pseudo_labels


def test_scores_are_read_only_where_confidence_counts(saved, tmp_path):
    assert saved(0).load(RECORD, 6).tolist() == [[2, 5]]
    with pytest.raises(DataError, match=r"propagate.a\.npz is missing"):
        saved(0.6).load(RECORD, 6)
    save_record(tmp_path / "propagate" / "a.npz", SCORES, "")
    assert saved(0.6).load(RECORD, 6).tolist() == [[255, 5]]
    with pytest.raises(DataError, match=r"a\.png is no label map .* holds class id 5, .* classes 0 to 4"):
        saved(0).load(RECORD, 5)
    assert [path.name for path in saved(0.6).files("a")] == ["a.png", "a.npz"]


def test_sample_is_a_crop_of_the_photograph_and_of_what_is_confident(tiny_index, tmp_path):
    image = tiny_index.split("train")[0]
    size = (image.height, image.width)
    labels = PseudoLabels(tmp_path / "crf", tmp_path / "propagate", 0.6)
    (path, scores), crop = labels.files(image.id), 200
    save_label_map(path, np.zeros(size, np.uint8), "")
    halves = np.ones((2, *size), np.float32)
    halves[1, :, : image.width // 2] = 0  # on the left background alone scores, on the right both classes alike
    save_record(scores, Scores.not_learned(np.array([0, 1]), halves), "")
    sample = SegmentationSample(tiny_index, labels, crop, (1, 1), to_input)
    photo, found = sample(image, torch.Generator().manual_seed(0))
    assert photo.shape == (3, crop, crop)
    assert found.shape == (crop, crop)
    assert int((found == 0).sum()) == image.height * (image.width // 2)
    assert int((found == 255).sum()) == crop**2 - image.height * (image.width // 2)
