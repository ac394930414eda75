"""Every backbone: shapes at every output stride, torchvision's names, published files and their faults."""

from pathlib import Path

import numpy as np
import pytest
import torch

from wsgcn.errors import DataError, UsageError
from wsgcn.nets.backbone import build_backbone, features_of, freeze_norms, freeze_stages, norms, to_input

NAMES = ("resnet-small", "mobilenet-v2", "resnet-50")
WIDE = ("resnet-38", "drn-d-105")  # of output stride 8 only
LARGE = ("resnet-50-irnet", "resnet-101", "resnet-101-caffe", *WIDE)
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


@pytest.mark.parametrize("name", WIDE)
def test_maps_of_networks_with_stride_8(name):
    net = build_backbone(name, 8, None).eval()
    with torch.no_grad():
        maps = features_of(net, torch.zeros(1, 3, 33, 48))
    assert [tuple(one.shape[1:]) for one in maps] == [
        (channels, size_at(33, stride), size_at(48, stride)) for channels, stride in zip(net.channels, (2, 4, 8, 8, 8))
    ]
    with pytest.raises(UsageError, match=f"{name} has output stride 8, not 16"):
        build_backbone(name, 16, None)


@pytest.mark.parametrize(
    ("name", "count"),
    [
        ("mobilenet-v2", 3_504_872 - 1280 * 1000 - 1000),
        ("resnet-50", 25_557_032 - 2048 * 1000 - 1000),
        ("resnet-50-irnet", 25_557_032 - 2048 * 1000 - 1000),
        ("resnet-101", 44_549_160 - 2048 * 1000 - 1000),
        ("resnet-101-caffe", 44_549_160 - 2048 * 1000 - 1000),
    ],
)
def test_parameter_count_is_torchvisions_without_its_classifier(name, count):
    assert parameters(build_backbone(name, 8, None)) == count


def parameters(net):
    return sum(one.numel() for one in net.parameters())


def bottlenecks(channels, width, count):
    """Weights of a level of ``count`` bottlenecks: three convolutions, norms (two numbers a channel), one shortcut."""
    inner = width * width * 9 + width * 4 * width + 2 * (2 * width + 4 * width)
    return count * inner + channels * width + (count - 1) * 4 * width * width + channels * 4 * width + 2 * 4 * width


def test_parameter_count_of_drn_d_105():
    plain = sum(
        a * b * k * k + 2 * b for a, b, k in [(3, 16, 7), (16, 16, 3), (16, 32, 3), (2048, 512, 3), (512, 512, 3)]
    )
    levels = [(32, 64, 3), (256, 128, 4), (512, 256, 23), (1024, 512, 3)]
    expected = plain + sum(bottlenecks(*level) for level in levels)
    assert parameters(build_backbone("drn-d-105", 8, None)) == expected
    assert expected + 512 * 1000 + 1000 == pytest.approx(54.8e6, rel=1e-3)  # with its classifier; table 1 of the paper


def test_parameter_count_of_resnet_38():
    """Level by level: (blocks, in, width, out), a norm before each convolution, a shortcut where the level begins."""
    expected = 3 * 64 * 9
    for blocks, channels, width, out in [
        (3, 64, 128, 128),
        (3, 128, 256, 256),
        (6, 256, 512, 512),
        (3, 512, 512, 1024),
    ]:
        for number in range(blocks):
            before = channels if number == 0 else out
            expected += 2 * before + before * width * 9 + 2 * width + width * out * 9
        expected += channels * out
    for channels, out in [(1024, 2048), (2048, 4096)]:
        expected += 2 * channels + channels * out // 4 + 2 * (out // 4) + (out // 4) * (out // 2) * 9
        expected += 2 * (out // 2) + (out // 2) * out + channels * out
    assert parameters(build_backbone("resnet-38", 8, None)) == expected + 2 * 4096


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
        (
            "resnet-101",
            {"layer3.22.conv2.weight": (256, 256, 3, 3), "layer4.0.downsample.1.running_mean": (2048,)},
        ),
        (
            "resnet-38",
            {
                "conv1a.weight": (64, 3, 3, 3),
                "b2.conv_branch1.weight": (128, 64, 1, 1),
                "b4_5.bn_branch2b1.running_var": (512,),
                "b5.conv_branch2b1.weight": (1024, 512, 3, 3),
                "b6.conv_branch2b1.weight": (1024, 512, 3, 3),
                "b7.bn_branch2b2.bias": (2048,),
                "bn7.weight": (4096,),
            },
        ),
        (
            "drn-d-105",
            {
                "layer0.0.weight": (16, 3, 7, 7),
                "layer2.1.running_var": (32,),
                "layer5.22.conv3.weight": (1024, 256, 1, 1),
                "layer6.0.downsample.1.bias": (2048,),
                "layer7.0.weight": (512, 2048, 3, 3),
                "layer8.1.weight": (512,),
            },
        ),
    ],
)
def test_parameters_have_the_published_names(name, shapes):
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


@pytest.mark.parametrize("name", [*NAMES, *LARGE])
def test_a_photograph_moved_by_cells_moves_the_features(name):
    """Away from the border, content 16 pixels further down and right is two cells of 8 further in the last map."""
    net = build_backbone(name, 8, None).eval()
    torch.manual_seed(0)
    patch, x, moved = torch.randn(3, 16, 16), torch.zeros(1, 3, 161, 161), torch.zeros(1, 3, 161, 161)
    x[0, :, 64:80, 64:80], moved[0, :, 80:96, 80:96] = patch, patch
    with torch.no_grad():
        first, second = features_of(net, x)[-1], features_of(net, moved)[-1]
        blank = features_of(net, torch.zeros_like(x))[-1]
    here, there = (first - blank)[..., 8:12, 8:12], (second - blank)[..., 10:14, 10:14]
    peak = float(here.abs().max())
    assert peak > 0
    assert torch.allclose(here, there, atol=0.02 * peak)
    assert not torch.allclose(here, (second - blank)[..., 9:13, 9:13], atol=0.2 * peak)


@pytest.mark.parametrize("name", [*NAMES, *LARGE])
def test_stages_hold_every_parameter_once(name):
    net = build_backbone(name, 8, None)
    held = [id(one) for stage in net.stages() for module in stage for one in module.parameters()]
    assert len(net.stages()) == 5
    assert sorted(held) == sorted(id(one) for one in net.parameters())


@pytest.mark.parametrize("name", ["mobilenet-v2", "resnet-50-irnet", "resnet-38"])
def test_frozen_stages_get_no_gradient_and_the_others_do(name):
    net = build_backbone(name, 8, None)
    freeze_stages(net, 3)
    features_of(net, torch.randn(1, 3, 40, 40))[-1].square().mean().backward()
    early = [one for stage in net.stages()[:3] for module in stage for one in module.parameters()]
    late = [one for stage in net.stages()[3:] for module in stage for one in module.parameters()]
    assert early
    assert all(one.grad is None for one in early)
    assert all(one.grad is not None for one in late)


def test_irnets_resnet_strides_less_without_dilating():
    net = build_backbone("resnet-50-irnet", 16, None)
    assert net.layer4[0].conv2.stride == (1, 1)
    assert {module.dilation for module in net.modules() if isinstance(module, torch.nn.Conv2d)} == {(1, 1)}


def test_caffes_resnet_strides_first_and_dilates_from_the_first_block():
    net = build_backbone("resnet-101-caffe", 8, None)
    assert (net.layer2[0].conv1.stride, net.layer2[0].conv2.stride) == ((2, 2), (1, 1))
    assert [block.conv2.dilation[0] for block in (*net.layer3, *net.layer4)] == [2] * 23 + [4] * 3
    with torch.no_grad():
        assert features_of(net.eval(), torch.zeros(1, 3, 321, 321))[-1].shape[2:] == (41, 41)
        assert features_of(net, torch.zeros(1, 3, 64, 64))[0].shape[2:] == (17, 17)  # 32 + 1, halved upwards


def test_dilations_of_resnet_38_are_psas():
    net = build_backbone("resnet-38", 8, None)
    dilations = {key: one.dilation[0] for key, one in net.named_modules() if isinstance(one, torch.nn.Conv2d)}
    assert {key: one for key, one in dilations.items() if one > 1} == {
        "b5.conv_branch2b1": 2, "b5_1.conv_branch2a": 2, "b5_1.conv_branch2b1": 2, "b5_2.conv_branch2a": 2,
        "b5_2.conv_branch2b1": 2, "b6.conv_branch2b1": 4, "b7.conv_branch2b1": 4,
    }  # fmt: skip


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
    with pytest.raises(DataError, match=r"does not hold weights of resnet-small.*conv1.weight"):
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
