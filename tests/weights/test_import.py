"""Every importer on a file with the published names and shapes, and what it says of files that do not fit."""

import pickle

import numpy as np
import pytest
import torch
from typer.testing import CliRunner

from tests.conftest import changed
from tests.weights import published
from wsgcn.cams.net import build_cam_net, net_settings
from wsgcn.cli import NetworkName, app
from wsgcn.errors import DataError
from wsgcn.nets.backbone import build_backbone, features_of, to_input
from wsgcn.nets.deeplab import load_deeplab
from wsgcn.store.checkpoints import load_checkpoint
from wsgcn.weights.layouts import CAFFE_MEAN, LAYOUTS, take_our_input
from wsgcn.weights.mxnet import read_params
from wsgcn.weights.run import import_weights

FILES = {
    "resnet-50": lambda: published.torchvision(published.BOTTLENECKS_50),
    "resnet-101": lambda: published.torchvision(published.BOTTLENECKS_101),
    "drn-d-105": published.drn_d_105,
    "irnet-cam": lambda: published.irnet("irnet-cam"),
    "irnet-boundary": lambda: published.irnet("irnet-boundary"),
    "psa-classifier": lambda: published.psa("psa-classifier"),
    "psa-affinitynet": lambda: published.psa("psa-affinitynet"),
    "deeplab-voc": published.deeplab_voc,
    "deeplab-coco": published.deeplab_coco,
}
SAME = {  # one parameter of each part: its name there, and ours
    "resnet-50": {"layer3.5.bn2.running_var": "layer3.5.bn2.running_var"},
    "resnet-101": {"layer3.22.conv2.weight": "layer3.22.conv2.weight"},
    "drn-d-105": {"layer8.0.weight": "layer8.0.weight", "layer6.0.downsample.1.bias": "layer6.0.downsample.1.bias"},
    "irnet-cam": {"classifier.weight": "classifier.weight", "resnet50.layer4.2.bn3.bias": "backbone.layer4.2.bn3.bias"},
    "irnet-boundary": {
        "resnet50.conv1.weight": "backbone.conv1.weight",
        "fc_edge1.0.weight": "branches.0.0.weight",
        "fc_edge5.1.bias": "branches.4.1.bias",
        "fc_edge6.bias": "last.bias",
        "fc_dp5.0.weight": "displacement.branches.4.0.weight",
        "fc_dp6.1.weight": "displacement.deep.1.weight",
        "fc_dp7.1.bias": "displacement.mixed.1.bias",
        "fc_dp7.3.weight": "displacement.last.weight",
        "mean_shift.running_mean": "displacement.mean",
    },
    "psa-classifier": {"fc8.weight": "classifier.weight", "b5_2.bn_branch2a.bias": "backbone.b5_2.bn_branch2a.bias"},
    "psa-affinitynet": {
        "f8_3.weight": "branches.0.weight",
        "f8_5.weight": "branches.2.weight",
        "f9.weight": "last.weight",
    },
    "deeplab-voc": {
        "base.aspp.c3.weight": "aspp.branches.3.weight",
        "base.aspp.c0.bias": "aspp.branches.0.bias",
        "base.layer4.block23.conv3x3.conv.weight": "backbone.layer3.22.conv2.weight",
        "base.layer5.block1.shortcut.bn.running_mean": "backbone.layer4.0.downsample.1.running_mean",
    },
    "deeplab-coco": {"layer2.block3.increase.conv.weight": "layer1.2.conv3.weight"},
}


def imported(tmp_path, network, state=None):
    there, ours = tmp_path / "published.pth", tmp_path / "weights" / f"{network}.pt"
    state = FILES[network]() if state is None else state
    torch.save(state, there)
    import_weights(there, network, ours)
    content = torch.load(ours, weights_only=True)
    return state, content["state"] if LAYOUTS[network].checkpoint else content, ours


def test_every_name_of_the_command_line_has_a_layout():
    assert [one.value for one in NetworkName] == list(LAYOUTS)


@pytest.mark.parametrize("network", FILES)
def test_published_file_is_converted(tmp_path, network):
    state, own, _ = imported(tmp_path, network)
    for there, here in SAME[network].items():
        assert torch.equal(own[here], state[there]), there
    needed = {id(one) for one in state.values()}  # aliases share their tensor
    assert len(own) <= len(needed) + sum(key.endswith("num_batches_tracked") for key in own)


@pytest.mark.parametrize("network", FILES)
def test_missing_and_unexpected_names_are_listed(tmp_path, network):
    state = FILES[network]()
    gone = next(iter(SAME[network]))
    state["strange.weight"] = torch.zeros(1)
    del state[gone]
    with pytest.raises(DataError) as caught:
        imported(tmp_path, network, state)
    message = str(caught.value)
    assert message.startswith(f"{tmp_path / 'published.pth'} does not hold {network}: 1 missing (")
    assert SAME[network][gone] in message
    assert "1 unexpected (" in message
    assert "strange.weight" in message
    assert not (tmp_path / "weights").exists()


def test_wrong_shape_is_named(tmp_path):
    state = FILES["irnet-cam"]()
    state["classifier.weight"] = torch.zeros(80, 2048, 1, 1)
    with pytest.raises(DataError, match=r"does not hold irnet-cam.*classifier\.weight"):
        imported(tmp_path, "irnet-cam", state)


def test_numbers_that_are_not_finite_are_refused(tmp_path):
    state = FILES["resnet-50"]()
    state["conv1.weight"] = torch.full_like(state["conv1.weight"], torch.nan)
    with pytest.raises(DataError, match="numbers that are not finite"):
        imported(tmp_path, "resnet-50", state)


def test_reason_is_pytorchs_own_without_its_advice(tmp_path):
    path = tmp_path / "published.pth"
    torch.save({"weight": Harmful()}, path)
    with pytest.raises(DataError) as caught:
        import_weights(path, "resnet-50", tmp_path / "out.pt")
    assert "Unsupported" in str(caught.value)
    assert "print" in str(caught.value)
    assert "trust" not in str(caught.value)


class Harmful:
    """A pickle that would run code."""

    def __reduce__(self):
        return (print, ("it ran",))


@pytest.mark.parametrize("content", [{"weight": Harmful()}, [torch.zeros(1)], {"weight": 3}])
def test_what_is_no_plain_state_is_refused_with_a_reason(tmp_path, capsys, content):
    path = tmp_path / "published.pth"
    torch.save(content, path)
    with pytest.raises(DataError, match=r"cannot be read as weights \(|is not a state_dict"):
        import_weights(path, "resnet-50", tmp_path / "out.pt")
    path.write_bytes(pickle.dumps(content, protocol=2))
    with pytest.raises(DataError, match=r"cannot be read as weights \("):
        import_weights(path, "resnet-50", tmp_path / "out.pt")
    assert "it ran" not in capsys.readouterr().out
    assert not (tmp_path / "out.pt").exists()


def test_command_stores_below_weights_and_says_so(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    torch.save(FILES["resnet-50"](), "resnet50-19c8e357.pth")
    done = CliRunner().invoke(app, ["weights", "import", "resnet50-19c8e357.pth", "--as", "resnet-50"])
    assert done.exit_code == 0, done.output
    assert "weights/resnet-50.pt is ready" in done.output
    build_backbone("resnet-50-irnet", 16, "weights/resnet-50.pt")


# ---------------------------------------------------------------- they fit what stages build


def test_classifier_fits_the_stage_that_takes_it(tmp_path, tiny_params):
    _, _, path = imported(tmp_path, "irnet-cam")
    values = {"cams.I.backbone": "resnet-50-irnet", "cams.I.output_stride": 16}
    params = changed(tiny_params, values).cams.I
    load_checkpoint(path, "cams", net_settings(params, 21), build_cam_net(params, 21, pretrained=False))


def test_deeplab_of_a_file_is_the_formula_of_its_parts(tmp_path):
    """The sum of the four dilated convolutions over the features, written out."""
    state, _, path = imported(tmp_path, "deeplab-voc")
    net = load_deeplab(path, torch.device("cpu"))
    features = torch.randn(1, 2048, 9, 11)
    with torch.no_grad():
        expected = sum(
            torch.nn.functional.conv2d(
                features, state[f"base.aspp.c{one}.weight"], state[f"base.aspp.c{one}.bias"], 1, rate, rate
            )
            for one, rate in enumerate((6, 12, 18, 24))
        )
        assert torch.allclose(net.aspp(features), expected, atol=1e-4)


# ---------------------------------------------------------------- Caffe's input


def test_backbone_takes_our_photographs_as_it_took_caffes():
    rgb_u8 = np.random.default_rng(0).integers(0, 256, (48, 56, 3)).astype(np.uint8)
    theirs = torch.from_numpy(rgb_u8[..., ::-1].astype(np.float32) - np.float32(CAFFE_MEAN[::-1])).permute(2, 0, 1)[
        None
    ]
    weight, mean, variance = torch.randn(8, 3, 7, 7) / 100, torch.randn(8), torch.rand(8) + 1
    own = take_our_input({"conv1.weight": weight, "bn1.running_mean": mean})

    def first(x, weight, mean):
        return torch.nn.functional.batch_norm(torch.nn.functional.conv2d(x, weight, None, 2, 3), mean, variance)

    expected = first(theirs, weight, mean)
    found = first(to_input(rgb_u8)[None], own["conv1.weight"], own["bn1.running_mean"])
    inner = (..., slice(2, -2), slice(2, -2))
    assert torch.allclose(found[inner], expected[inner], atol=1e-3)
    assert not torch.allclose(first(to_input(rgb_u8)[None], weight, mean)[inner], expected[inner], atol=0.1)


# ---------------------------------------------------------------- MXNet


@pytest.mark.parametrize("version", [0, 1, 2, 3])
def test_params_of_every_version_are_read(tmp_path, version):
    arrays = {"arg:a": np.arange(6, dtype=np.float32).reshape(1, 2, 3), "aux:b": np.float32([1.5])}
    published.write_mxnet(tmp_path / "x.params", arrays, version)
    found = read_params(tmp_path / "x.params")
    assert list(found) == list(arrays)
    assert all(np.array_equal(found[key].numpy(), one) for key, one in arrays.items())


def test_resnet_38_comes_from_mxnet(tmp_path):
    state = {key: one for key, one in published.filled(published.resnet_38()).items() if one.ndim}
    names = published.mxnet_names()
    assert names["b4_3.conv_branch2b1.weight"] == "arg:res4b3_branch2b1_weight"
    assert names["b2.bn_branch2a.running_var"] == "aux:bn2a_branch2a_moving_var"
    arrays = {names[key]: one.numpy() for key, one in state.items()}
    classifier = {"arg:linear1000_weight": np.zeros((1000, 4), np.float32), "arg:linear1000_bias": np.zeros(1000)}
    path = tmp_path / "ilsvrc.params"
    published.write_mxnet(path, arrays | classifier, 0)
    import_weights(path, "resnet-38", tmp_path / "resnet-38.pt")
    net = build_backbone("resnet-38", 8, str(tmp_path / "resnet-38.pt")).eval()
    own = net.state_dict()
    assert all(torch.equal(own[key], one) for key, one in state.items())
    with torch.no_grad():
        assert all(one.isfinite().all() for one in features_of(net, torch.randn(1, 3, 24, 24)))
    del arrays["arg:conv1a_weight"]
    published.write_mxnet(path, arrays | {"arg:new": np.zeros(1)}, 0)
    with pytest.raises(
        DataError, match=r"does not hold resnet-38: 1 missing \(conv1a.weight\), 1 unexpected \(arg:new"
    ):
        import_weights(path, "resnet-38", tmp_path / "again.pt")


def test_every_cut_of_a_params_file_is_refused(tmp_path):
    path = tmp_path / "x.params"
    published.write_mxnet(path, {"arg:a": np.ones((2, 2), np.float32)}, 2)
    whole = path.read_bytes()
    for end in range(len(whole)):
        path.write_bytes(whole[:end])
        with pytest.raises(DataError, match=r"x\.params is no whole MXNet file of parameters"):
            read_params(path)
    path.write_bytes(b"\0" * 64)
    with pytest.raises(DataError, match="it begins otherwise"):
        read_params(path)
    with pytest.raises(DataError, match="cannot be read"):
        read_params(tmp_path / "gone.params")
