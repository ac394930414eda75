"""Every backbone: shapes at every output stride, published names, gradients; the large ones as small stand-ins."""

import pytest
import torch

from tests.nets.sizes import FULL, TINY, use_sizes
from tests.weights import published
from wsgcn.nets.build import backbone_class, build_backbone
from wsgcn.nets.registry import BACKBONES

STRIDES = {"mobilenet-v2": (2, 4, 8, 16, 32), "resnet-38": (2, 4, 8, 8, 8), "drn-d-105": (2, 4, 8, 8, 8)}
"""Of the five maps at output stride 32; (4, 4, 8, 16, 32) where nothing is said."""

SIZES = pytest.mark.parametrize("whole", [TINY, FULL], ids=["tiny", "full"])
"""For what needs no numbers: networks without memory are built quickly at full size."""


def without_memory(name):
    with torch.device("meta"):
        return build_backbone(name, 8, None)


def size_at(size, stride):
    return -(-size // stride)


@pytest.mark.parametrize(
    ("name", "output_stride"), [(name, stride) for name in BACKBONES for stride in backbone_class(name).output_strides]
)
def test_maps_have_their_strides(name, output_stride, sizes):
    net = build_backbone(name, output_stride, None).eval()
    height, width = (65, 97) if name == "resnet-101-caffe" else (65, 96)  # at 96 its pooling rounds up, to 25 cells
    with torch.no_grad():
        maps = net(torch.zeros(1, 3, height, width))
    strides = [min(stride, output_stride) for stride in STRIDES.get(name, (4, 4, 8, 16, 32))]
    assert net.strides == strides
    assert net.strides[-1] == output_stride
    assert [tuple(one.shape[1:]) for one in maps] == [
        (channels, size_at(height, stride), size_at(width, stride)) for channels, stride in zip(net.channels, strides)
    ]


@pytest.mark.parametrize("name", [name for name in BACKBONES if FULL.attributes(name)])
def test_published_sizes_are_those_of_the_backbones(name):
    assert {one: getattr(backbone_class(name), one) for one in FULL.attributes(name)} == FULL.attributes(name)


@pytest.mark.parametrize(
    ("name", "count"),
    [
        ("mobilenet-v2", 3_504_872 - 1280 * 1000 - 1000),
        ("resnet-50", 25_557_032 - 2048 * 1000 - 1000),
        ("resnet-50-irnet", 25_557_032 - 2048 * 1000 - 1000),
        ("resnet-101", 44_549_160 - 2048 * 1000 - 1000),
        ("resnet-101-imagenet", 44_549_160 - 2048 * 1000 - 1000),
        ("resnet-101-caffe", 44_549_160 - 2048 * 1000 - 1000),
    ],
)
def test_parameter_count_is_torchvisions_without_its_classifier(name, count):
    assert parameters(without_memory(name)) == count


def parameters(net):
    return sum(one.numel() for one in net.parameters())


def bottlenecks(channels, width, count):
    """Weights of a level of ``count`` bottlenecks: three convolutions, norms (two numbers a channel), one shortcut."""
    inner = width * width * 9 + width * 4 * width + 2 * (2 * width + 4 * width)
    return count * inner + channels * width + (count - 1) * 4 * width * width + channels * 4 * width + 2 * 4 * width


@SIZES
def test_parameter_count_of_drn_d_105(whole, monkeypatch):
    use_sizes(whole, monkeypatch)
    (first, second, channels), head = whole.drn_stem, whole.drn_head
    expected = 0
    plain = [(3, first, 7), (first, second, 3), (second, channels, 3)]
    for count, width in whole.drn:
        expected += bottlenecks(channels, width, count)
        channels = 4 * width
    plain += [(channels, head, 3), (head, head, 3)]
    expected += sum(a * b * k * k + 2 * b for a, b, k in plain)
    assert parameters(without_memory("drn-d-105")) == expected
    if whole is FULL:  # with its classifier; table 1 of the paper
        assert expected + 512 * 1000 + 1000 == pytest.approx(54.8e6, rel=1e-3)


@SIZES
def test_parameter_count_of_resnet_38(whole, monkeypatch):
    """Level by level: a norm before each convolution, a shortcut where the level begins."""
    use_sizes(whole, monkeypatch)
    channels = whole.stem_38
    expected = 3 * channels * 9
    for blocks, width, out in whole.wide_38:
        for number in range(blocks):
            before = channels if number == 0 else out
            expected += 2 * before + before * width * 9 + 2 * width + width * out * 9
        expected += channels * out
        channels = out
    for out in whole.deep_38:
        expected += 2 * channels + channels * out // 4 + 2 * (out // 4) + (out // 4) * (out // 2) * 9
        expected += 2 * (out // 2) + (out // 2) * out + channels * out
        channels = out
    assert parameters(without_memory("resnet-38")) == expected + 2 * channels


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
    state = without_memory(name).state_dict()
    assert {key: tuple(state[key].shape) for key in shapes} == shapes


@SIZES
@pytest.mark.parametrize(
    ("name", "shapes"),
    [
        ("resnet-50", lambda sizes: published.resnet(sizes.blocks_50, sizes.width)),
        ("resnet-50-irnet", lambda sizes: published.resnet(sizes.blocks_50, sizes.width)),
        ("resnet-101", lambda sizes: published.resnet(sizes.blocks_101, sizes.width)),
        ("resnet-101-imagenet", lambda sizes: published.resnet(sizes.blocks_101, sizes.width)),
        ("resnet-101-caffe", lambda sizes: published.resnet(sizes.blocks_101, sizes.width)),
        ("resnet-38", published.resnet_38),
        ("drn-d-105", published.drn),
    ],
)
def test_all_parameters_have_the_published_names(name, shapes, whole, monkeypatch):
    use_sizes(whole, monkeypatch)
    assert {key: tuple(one.shape) for key, one in without_memory(name).state_dict().items()} == shapes(whole)


@pytest.mark.parametrize("name", BACKBONES)
def test_every_parameter_receives_a_gradient(name, sizes):
    net = build_backbone(name, min(16, backbone_class(name).output_strides[-1]), None)
    sum(one.square().mean() for one in net(torch.randn(2, 3, 64, 64))).backward()
    assert not [key for key, one in net.named_parameters() if one.grad is None or not one.grad.isfinite().all()]


@pytest.mark.parametrize("name", ["mobilenet-v2", "resnet-50"])
def test_output_strides_share_weights_and_agree_where_nothing_moves(name, sizes):
    """Dilation replaces the stride, so the dense map holds the coarse map's cells, but for the padded border."""
    coarse, dense = build_backbone(name, 32, None).eval(), build_backbone(name, 16, None).eval()
    dense.load_state_dict(coarse.state_dict())
    x = torch.randn(1, 3, 256, 256)
    with torch.no_grad():
        every, few = dense(x)[-1], coarse(x)[-1]
    assert torch.allclose(every[..., ::2, ::2][..., 3:5, 3:5], few[..., 3:5, 3:5], atol=1e-4)


@pytest.mark.parametrize("name", BACKBONES)
def test_a_photograph_moved_by_cells_moves_the_features(name, sizes):
    """Away from the border, content 16 pixels further down and right is two cells of 8 further in the last map."""
    torch.manual_seed(0)
    net = build_backbone(name, 8, None).eval()
    patch, x, moved = torch.randn(3, 16, 16), torch.zeros(1, 3, 161, 161), torch.zeros(1, 3, 161, 161)
    x[0, :, 64:80, 64:80], moved[0, :, 80:96, 80:96] = patch, patch
    with torch.no_grad():
        first, second = net(x)[-1], net(moved)[-1]
        blank = net(torch.zeros_like(x))[-1]
    here, there = (first - blank)[..., 8:12, 8:12], (second - blank)[..., 10:14, 10:14]
    peak = float(here.abs().max())
    assert peak > 0
    assert torch.allclose(here, there, atol=0.02 * peak)
    assert not torch.allclose(here, (second - blank)[..., 9:13, 9:13], atol=0.2 * peak)


@pytest.mark.parametrize("name", BACKBONES)
def test_stages_hold_every_parameter_once(name, sizes):
    net = build_backbone(name, 8, None)
    held = [id(one) for stage in net.stages() for module in stage for one in module.parameters()]
    assert len(net.stages()) == 5
    assert sorted(held) == sorted(id(one) for one in net.parameters())


def test_irnets_resnet_strides_less_without_dilating(sizes):
    net = build_backbone("resnet-50-irnet", 16, None)
    assert net.layer4[0].conv2.stride == (1, 1)
    assert {module.dilation for module in net.modules() if isinstance(module, torch.nn.Conv2d)} == {(1, 1)}


@pytest.mark.parametrize(("name", "first"), [("resnet-101", 2), ("resnet-101-imagenet", 1)])
def test_first_block_of_the_last_stage_dilates_as_what_comes_in_or_not_at_all(name, first, sizes):
    net = build_backbone(name, 8, None)
    third, fourth = ([block.conv2.dilation[0] for block in layer] for layer in (net.layer3, net.layer4))
    assert third == [1] + [2] * (sizes.blocks_101[2] - 1)
    assert fourth == [first] + [4] * (sizes.blocks_101[3] - 1)


def test_caffes_resnet_strides_first_and_dilates_from_the_first_block(sizes):
    net = build_backbone("resnet-101-caffe", 8, None)
    assert (net.layer2[0].conv1.stride, net.layer2[0].conv2.stride) == ((2, 2), (1, 1))
    assert [block.conv2.dilation[0] for block in (*net.layer3, *net.layer4)] == [2] * sizes.blocks_101[2] + [
        4
    ] * sizes.blocks_101[3]
    with torch.no_grad():
        assert net.eval()(torch.zeros(1, 3, 321, 321))[-1].shape[2:] == (41, 41)
        assert net(torch.zeros(1, 3, 64, 64))[0].shape[2:] == (17, 17)  # 32 + 1, halved upwards


def test_dilations_of_resnet_38_are_psas():
    net = without_memory("resnet-38")
    dilations = {key: one.dilation[0] for key, one in net.named_modules() if isinstance(one, torch.nn.Conv2d)}
    assert {key: one for key, one in dilations.items() if one > 1} == {
        "b5.conv_branch2b1": 2, "b5_1.conv_branch2a": 2, "b5_1.conv_branch2b1": 2, "b5_2.conv_branch2a": 2,
        "b5_2.conv_branch2b1": 2, "b6.conv_branch2b1": 4, "b7.conv_branch2b1": 4,
    }  # fmt: skip
