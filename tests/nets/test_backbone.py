"""Every backbone: shapes at every output stride, torchvision's names, published files and their faults."""

from pathlib import Path

import numpy as np
import pytest
import torch

from wsgcn.errors import DataError
from wsgcn.nets.backbone import build_backbone, features_of, freeze_norms, norms, to_input

NAMES = ("resnet-small", "mobilenet-v2", "resnet-50")
IMAGENET = Path(__file__).parents[3] / "shared" / "data" / "weights" / "mobilenet_v2-imagenet.pth"


def size_at(size, stride):
    return -(-size // stride)


@pytest.mark.parametrize("output_stride", [8, 16, 32])
@pytest.mark.parametrize("name", NAMES)
def test_maps_have_their_strides(name, output_stride):
    net = build_backbone(name, output_stride, None).eval()
    with torch.no_grad():
        maps = features_of(net, torch.zeros(1, 3, 65, 96))
    first = [2, 4, 8, 16, 32] if name == "mobilenet-v2" else [4, 4, 8, 16, 32]
    strides = [min(stride, output_stride) for stride in first]
    assert [tuple(one.shape[1:]) for one in maps] == [
        (channels, size_at(65, stride), size_at(96, stride)) for channels, stride in zip(net.channels, strides)
    ]


@pytest.mark.parametrize(("name", "count"), [("resnet-50", 23_508_032), ("mobilenet-v2", 2_223_872)])
def test_parameter_count_is_the_published_one_without_classifier(name, count):
    """The published counts, 25,557,032 and 3,504,872, less 2048·1000 + 1000 and 1280·1000 + 1000 of the classifier."""
    assert sum(one.numel() for one in build_backbone(name, 32, None).parameters()) == count


@pytest.mark.parametrize(
    ("name", "shapes"),
    [
        (
            "resnet-50",
            {
                "conv1.weight": (64, 3, 7, 7),
                "bn1.running_var": (64,),
                "layer1.0.downsample.0.weight": (256, 64, 1, 1),
                "layer2.0.conv2.weight": (128, 128, 3, 3),
                "layer3.5.bn3.bias": (1024,),
                "layer4.2.conv3.weight": (2048, 512, 1, 1),
            },
        ),
        (
            "mobilenet-v2",
            {
                "features.0.0.weight": (32, 3, 3, 3),
                "features.1.conv.0.0.weight": (32, 1, 3, 3),
                "features.1.conv.1.weight": (16, 32, 1, 1),
                "features.17.conv.3.running_mean": (320,),
                "features.18.0.weight": (1280, 320, 1, 1),
            },
        ),
    ],
)
def test_parameters_have_torchvisions_names(name, shapes):
    state = build_backbone(name, 8, None).state_dict()
    assert {key: tuple(state[key].shape) for key in shapes} == shapes


@pytest.mark.parametrize("name", NAMES)
def test_every_parameter_receives_a_gradient(name):
    net = build_backbone(name, 16, None)
    sum(one.square().mean() for one in features_of(net, torch.randn(2, 3, 64, 64))).backward()
    assert not [key for key, one in net.named_parameters() if one.grad is None or not one.grad.isfinite().all()]


@pytest.mark.parametrize("name", ["mobilenet-v2", "resnet-50"])
def test_output_strides_share_weights_and_agree_where_nothing_moves(name):
    """Dilation replaces the stride, so the dense map holds the coarse map's cells, but for the padded border."""
    coarse, dense = build_backbone(name, 32, None).eval(), build_backbone(name, 16, None).eval()
    dense.load_state_dict(coarse.state_dict())
    x = torch.randn(1, 3, 256, 256)
    with torch.no_grad():
        every, few = features_of(dense, x)[-1], features_of(coarse, x)[-1]
    assert torch.allclose(every[..., ::2, ::2][..., 3:5, 3:5], few[..., 3:5, 3:5], atol=1e-4)


# ---------------------------------------------------------------- weight files


@pytest.fixture
def published(tmp_path):
    """A file as torchvision publishes it for resnet-small, had it one: with a classifier, from old times, halved."""
    state = build_backbone("resnet-small", 32, None).state_dict()
    halved = {key: one.half() for key, one in state.items() if not key.endswith("num_batches_tracked")}
    path = tmp_path / "published.pth"
    torch.save(halved | {"fc.weight": torch.zeros(1000, 256).half(), "fc.bias": torch.zeros(1000).half()}, path)
    return path, state


def test_old_file_of_half_precision_loads_as_float32(published):
    path, state = published
    loaded = build_backbone("resnet-small", 8, str(path)).state_dict()
    assert loaded.keys() == state.keys()
    for key, one in loaded.items():
        assert one.dtype == state[key].dtype
        assert torch.allclose(one.float(), state[key].float(), atol=1e-3)


def test_missing_and_unexpected_names_are_listed(published):
    path, _ = published
    state = torch.load(path, weights_only=True)
    state["layer9.weight"] = state.pop("conv1.weight")
    torch.save(state, path)
    with pytest.raises(DataError, match=r"1 missing \(conv1.weight\), 1 unexpected \(layer9.weight\)") as error:
        build_backbone("resnet-small", 8, str(path))
    assert str(path) in str(error.value)


def test_weights_of_another_network_are_refused(published):
    with pytest.raises(DataError, match="does not hold weights of mobilenet-v2"):
        build_backbone("mobilenet-v2", 8, str(published[0]))


def test_weights_of_another_width_are_refused(published):
    path, _ = published
    state = torch.load(path, weights_only=True)
    torch.save(state | {"conv1.weight": torch.zeros(8, 3, 7, 7)}, path)
    with pytest.raises(DataError, match=r"does not fit resnet-small.*conv1.weight"):
        build_backbone("resnet-small", 8, str(path))


def test_missing_weight_file_is_named(tmp_path):
    with pytest.raises(DataError, match=r"gone\.pth is missing"):
        build_backbone("resnet-small", 8, str(tmp_path / "gone.pth"))


def test_unknown_backbone_is_refused():
    with pytest.raises(ValueError, match="vgg"):
        build_backbone("vgg", 8, None)


@pytest.mark.realdata
@pytest.mark.skipif(not IMAGENET.is_file(), reason=f"{IMAGENET} is not on this machine")
def test_published_imagenet_weights_load():
    net = build_backbone("mobilenet-v2", 16, str(IMAGENET)).eval()
    fresh = build_backbone("mobilenet-v2", 16, None).eval()
    assert not torch.equal(net.state_dict()["features.0.0.weight"], fresh.state_dict()["features.0.0.weight"])
    with torch.no_grad():
        maps = features_of(net, torch.randn(1, 3, 96, 96))
    assert all(one.isfinite().all() and one.std() > 0 for one in maps)


# ---------------------------------------------------------------- norms and input


def test_frozen_norms_neither_learn_nor_follow_the_batch():
    net = build_backbone("resnet-small", 8, None).train()
    freeze_norms(net)
    before = {key: one.clone() for key, one in net.state_dict().items()}
    sum(one.mean() for one in features_of(net, torch.randn(2, 3, 32, 32))).backward()
    after = net.state_dict()
    assert all(torch.equal(after[key], one) for key, one in before.items())
    assert all(parameter.grad is None for norm in norms(net) for parameter in norm.parameters())
    assert net.conv1.weight.grad is not None


def test_input_is_normalised_with_imagenets_numbers():
    rgb_u8 = np.zeros((2, 3, 3), np.uint8)
    rgb_u8[0, 1] = (255, 0, 51)
    x = to_input(rgb_u8)
    assert x.shape == (3, 2, 3)
    expected = [(1 - 0.485) / 0.229, (0 - 0.456) / 0.224, (0.2 - 0.406) / 0.225]
    assert x[:, 0, 1].tolist() == pytest.approx(expected, abs=1e-5)
