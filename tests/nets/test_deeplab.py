"""DeepLabv2: ASPP by hand, several scales, averaged prediction, checkpoints."""

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional

from wsgcn.errors import DataError
from wsgcn.nets.base import to_input
from wsgcn.nets.deeplab import (
    NETWORK,
    Aspp,
    DeepLabV2,
    build_deeplab,
    load_deeplab,
    multi_scale_logits,
    predict_probs,
)
from wsgcn.store.checkpoints import save_checkpoint

SETTINGS = {"backbone": "resnet-small", "output_stride": 8, "classes": 4, "dilations": [1, 3]}
CPU = torch.device("cpu")


@pytest.fixture
def network():
    torch.manual_seed(0)
    return build_deeplab(SETTINGS, None).eval()


@pytest.fixture
def photo():
    return np.random.default_rng(0).integers(0, 256, (45, 61, 3)).astype(np.uint8)


# ---------------------------------------------------------------- structure


def test_aspp_is_the_sum_of_dilated_convolutions_by_hand():
    torch.manual_seed(1)
    aspp = Aspp(2, 3, (1, 2)).double()
    for branch in aspp.branches:
        nn.init.normal_(branch.weight)
        nn.init.normal_(branch.bias)
    x = torch.randn(1, 2, 5, 6).double()
    expected = torch.zeros(1, 3, 5, 6).double()
    for branch, dilation in zip(aspp.branches, (1, 2)):
        expected += branch.bias[None, :, None, None]
        for dy in (-1, 0, 1):
            for dx in (-1, 0, 1):
                for y in range(5):
                    for x_ in range(6):
                        v, u = y + dy * dilation, x_ + dx * dilation
                        if 0 <= v < 5 and 0 <= u < 6:
                            expected[0, :, y, x_] += branch.weight[:, :, dy + 1, dx + 1] @ x[0, :, v, u]
    assert torch.allclose(aspp(x), expected)


@pytest.mark.parametrize("size", [(9, 7), (3, 4), (1, 1)], ids=str)
def test_aspp_is_the_sum_of_its_convolutions_with_their_gradients(size):
    torch.manual_seed(2)
    aspp, x = Aspp(5, 3, (1, 2, 6)).double(), torch.randn(2, 5, *size).double()
    for branch in aspp.branches:
        nn.init.normal_(branch.bias)
    values = [*aspp.parameters(), x.requires_grad_()]
    weight = torch.randn(2, 3, *size).double()
    ours, theirs = aspp(x), torch.stack([branch(x) for branch in aspp.branches]).sum(0)
    assert torch.allclose(ours, theirs)
    for one, other in zip(*(torch.autograd.grad((out * weight).sum(), values) for out in (ours, theirs))):
        assert torch.allclose(one, other)


def test_aspp_starts_small_and_without_bias():
    aspp = Aspp(256, 21, (6, 12, 18, 24))
    assert [branch.dilation[0] for branch in aspp.branches] == [6, 12, 18, 24]
    for branch in aspp.branches:
        assert branch.weight.std().item() == pytest.approx(0.01, rel=0.02)
        assert torch.all(branch.bias == 0)


def test_aspp_starts_as_a_classifier_of_single_cells():
    aspp, classifier = Aspp(6, 4, (1, 2, 6)), nn.Conv2d(6, 3, 1, bias=False)
    for branch in aspp.branches:
        nn.init.zeros_(branch.weight)
    aspp.start_as(classifier.weight)
    x = torch.randn(2, 6, 7, 5)
    assert torch.equal(aspp(x)[:, 0], torch.zeros(2, 7, 5))
    assert torch.allclose(aspp(x)[:, 1:], classifier(x), atol=1e-6)


@pytest.mark.parametrize("backbone", ["resnet-small", "mobilenet-v2"])
def test_logits_have_the_feature_resolution(backbone):
    network = build_deeplab(SETTINGS | {"backbone": backbone, "output_stride": 16}, None).eval()
    assert network(torch.zeros(2, 3, 65, 48)).shape == (2, 4, 5, 3)


def test_every_parameter_receives_a_gradient(network):
    network.train()
    sum(one.square().mean() for one in multi_scale_logits(network, torch.randn(2, 3, 64, 64), (1, 0.5))).backward()
    assert not [key for key, one in network.named_parameters() if one.grad is None]


# ---------------------------------------------------------------- several scales


def test_scales_keep_their_size_and_the_maximum_follows(network):
    x = torch.randn(1, 3, 64, 96)
    with torch.no_grad():
        full, half, top = multi_scale_logits(network, x, (1.0, 0.5))
        small = functional.interpolate(x, size=(32, 48), mode="bilinear")
        assert torch.allclose(half, network(small))
    assert full.shape == top.shape == (1, 4, 8, 12)
    assert half.shape == (1, 4, 4, 6)
    assert torch.equal(top, torch.maximum(full, functional.interpolate(half, size=(8, 12), mode="bilinear")))


def test_one_scale_has_no_maximum(network):
    x = torch.randn(1, 3, 32, 32)
    (only,) = multi_scale_logits(network, x, (1.0,))
    assert torch.equal(only, network(x))


# ---------------------------------------------------------------- prediction


def test_probabilities_are_a_distribution_of_the_photos_size(network, photo):
    probs = predict_probs(network, photo, (0.5, 1.0, 1.5), flip=True, merge="mean")
    assert probs.shape == (4, 45, 61)
    assert probs.dtype == np.float32
    assert np.allclose(probs.sum(0), 1, atol=1e-5)
    assert probs.min() >= 0


def test_prediction_is_the_mean_of_the_softmax_of_every_scale_and_flip(network, photo):
    x = to_input(photo)[None]
    small = functional.interpolate(x, size=(22, 30), mode="bilinear", antialias=True)

    def softmax(rescaled):
        return functional.interpolate(network(rescaled), size=(45, 61), mode="bilinear").softmax(1)[0]

    with torch.no_grad():
        every = [softmax(x), softmax(x.flip(-1)).flip(-1), softmax(small), softmax(small.flip(-1)).flip(-1)]
    assert np.allclose(
        predict_probs(network, photo, (1.0, 0.5), flip=True, merge="mean"), torch.stack(every).mean(0), atol=1e-6
    )


def test_prediction_may_be_the_softmax_of_the_largest_logits(network, photo):
    """As kazuto1011/deeplab-pytorch tests: at the first scale's cells, from photographs shrunk without smoothing."""
    x = to_input(photo)[None]

    def largest(full):
        logits, half = network(full), functional.interpolate(full, scale_factor=0.5, mode="bilinear")
        both = torch.stack([logits, functional.interpolate(network(half), size=logits.shape[2:], mode="bilinear")])
        return functional.interpolate(both.amax(0), size=(45, 61), mode="bilinear").softmax(1)[0]

    with torch.no_grad():
        plain, mirrored = largest(x), largest(x.flip(-1)).flip(-1)
    found = [predict_probs(network, photo, (1.0, 0.5), flip=flip, merge="max") for flip in (False, True)]
    assert np.allclose(found[0], plain, atol=1e-6)
    assert np.allclose(found[1], (plain + mirrored) / 2, atol=1e-6)
    assert not np.allclose(found[0], predict_probs(network, photo, (1.0, 0.5), flip=False, merge="mean"), atol=1e-3)


def test_flip_makes_prediction_mirror_with_the_photo(network, photo):
    probs = predict_probs(network, photo, (1.0,), flip=True, merge="mean")
    mirrored = predict_probs(network, np.ascontiguousarray(photo[:, ::-1]), (1.0,), flip=True, merge="mean")
    assert np.allclose(probs, mirrored[:, :, ::-1], atol=1e-5)


def test_prediction_sets_evaluation_and_keeps_no_graph(network, photo):
    expected = predict_probs(network, photo, (1.0,), flip=False, merge="mean")
    state = {key: one.clone() for key, one in network.state_dict().items()}
    assert np.array_equal(predict_probs(network.train(), photo, (1.0,), flip=False, merge="mean"), expected)
    assert all(torch.equal(one, state[key]) for key, one in network.state_dict().items())
    assert all(one.grad is None for one in network.parameters())


@pytest.mark.parametrize("merge", ["mean", "max"])
def test_smallest_photo_is_predicted(network, merge):
    assert predict_probs(network, np.zeros((1, 1, 3), np.uint8), (0.5, 1.0), flip=True, merge=merge).shape == (4, 1, 1)


# ---------------------------------------------------------------- checkpoints


def test_load_builds_what_the_checkpoint_says(network, photo, tmp_path):
    path = tmp_path / "checkpoint.pt"
    save_checkpoint(path, NETWORK, SETTINGS, network)
    loaded = load_deeplab(path, CPU)
    assert isinstance(loaded, DeepLabV2)
    assert not loaded.training
    expected = predict_probs(network, photo, (1.0,), flip=True, merge="mean")
    found = predict_probs(
        loaded, photo, (1.0,), flip=True, merge="mean"
    )  # sums run in another order, channel by channel
    np.testing.assert_allclose(found, expected, atol=1e-6)


def test_load_refuses_another_network_and_a_missing_file(network, tmp_path):
    path = tmp_path / "checkpoint.pt"
    with pytest.raises(DataError, match=r"checkpoint\.pt is missing"):
        load_deeplab(path, CPU)
    save_checkpoint(path, "cams", SETTINGS, network)
    with pytest.raises(DataError, match="holds the network 'cams', not 'segtrain'"):
        load_deeplab(path, CPU)


@pytest.mark.parametrize(
    "settings", [{}, SETTINGS | {"backbone": "vgg"}, SETTINGS | {"output_stride": 4}, SETTINGS | {"dilations": None}]
)
def test_load_refuses_settings_of_another_version(network, tmp_path, settings):
    path = tmp_path / "checkpoint.pt"
    save_checkpoint(path, NETWORK, settings, network)
    with pytest.raises(DataError, match="made by another version"):
        load_deeplab(path, CPU)
