"""Every importer on a file with the published names and shapes, and what it says of files that do not fit."""

import pickle
import subprocess
import sys

import numpy as np
import pytest
import torch
from typer.testing import CliRunner

from tests.weights import published
from wsgcn.cams.net import CamNet
from wsgcn.cams.seam_net import SeamNet
from wsgcn.cli import app
from wsgcn.errors import DataError, UsageError
from wsgcn.nets.base import to_input
from wsgcn.nets.build import backbone_class, build_backbone
from wsgcn.nets.deeplab import load_deeplab
from wsgcn.nets.registry import BACKBONES
from wsgcn.nets.resnet_101_caffe import CAFFE_MEAN, take_our_input
from wsgcn.store.checkpoints import load_checkpoint
from wsgcn.weights.importer import import_published
from wsgcn.weights.layouts import LAYOUTS
from wsgcn.weights.mxnet import read_params
from wsgcn.weights.names import PUBLISHED_NAMES

FILES = {
    "mobilenet-v2": published.mobilenet_v2,
    "resnet-50": published.resnet_50,
    "resnet-101": published.resnet_101,
    "drn-d-105": published.drn_d_105,
    "irnet-cam": lambda sizes: published.irnet("irnet-cam", sizes),
    "irnet-boundary": lambda sizes: published.irnet("irnet-boundary", sizes),
    "psa-classifier": lambda sizes: published.psa("psa-classifier", sizes),
    "psa-affinitynet": lambda sizes: published.psa("psa-affinitynet", sizes),
    "seam": published.seam,
    "sc-cam": published.sc_cam,
    "deeplab-voc": published.deeplab_voc,
    "deeplab-coco": published.deeplab_coco,
}


def same(network, sizes):
    """One parameter of each part: its name there, and ours."""
    last_50, last_101 = sizes.blocks_50[2] - 1, sizes.blocks_101[2] - 1
    return {
        "mobilenet-v2": {"features.17.conv.3.running_mean": "features.17.conv.3.running_mean"},
        "resnet-50": {f"layer3.{last_50}.bn2.running_var": f"layer3.{last_50}.bn2.running_var"},
        "resnet-101": {f"layer3.{last_101}.conv2.weight": f"layer3.{last_101}.conv2.weight"},
        "drn-d-105": {"layer8.0.weight": "layer8.0.weight", "layer6.0.downsample.1.bias": "layer6.0.downsample.1.bias"},
        "irnet-cam": {
            "classifier.weight": "classifier.weight",
            "resnet50.layer4.1.bn3.bias": "backbone.layer4.1.bn3.bias",
        },
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
        "psa-classifier": {
            "fc8.weight": "classifier.weight",
            "b5_2.bn_branch2a.bias": "backbone.b5_2.bn_branch2a.bias",
        },
        "sc-cam": {"fc8_20.weight": "classifier.weight", "b2.conv_branch1.weight": "backbone.b2.conv_branch1.weight"},
        "psa-affinitynet": {
            "f8_3.weight": "branches.0.weight",
            "f8_5.weight": "branches.2.weight",
            "f9.weight": "last.weight",
        },
        "seam": {
            "f8_3.weight": "correlation.branches.0.weight",
            "f8_4.weight": "correlation.branches.1.weight",
            "f9.weight": "correlation.last.weight",
            "b6.conv_branch1.weight": "backbone.b6.conv_branch1.weight",
        },
        "deeplab-voc": {
            "base.aspp.c3.weight": "aspp.branches.3.weight",
            "base.aspp.c0.bias": "aspp.branches.0.bias",
            f"base.layer4.block{last_101 + 1}.conv3x3.conv.weight": f"backbone.layer3.{last_101}.conv2.weight",
            "base.layer5.block1.shortcut.bn.running_mean": "backbone.layer4.0.downsample.1.running_mean",
        },
        "deeplab-coco": {"layer2.block3.increase.conv.weight": "layer1.2.conv3.weight"},
    }[network]


def imported(tmp_path, network, state):
    there, ours = tmp_path / "published.pth", tmp_path / "weights" / f"{network}.pt"
    tmp_path.mkdir(exist_ok=True)
    torch.save(state, there)
    import_published(there, network, ours)
    content = torch.load(ours, weights_only=True)
    return content["state"] if LAYOUTS[network].checkpoint else content, ours


# ---------------------------------------------------------------- the list


def test_list_of_names_is_that_of_the_layouts():
    assert sorted(PUBLISHED_NAMES) == sorted(LAYOUTS)
    assert len(set(PUBLISHED_NAMES)) == len(PUBLISHED_NAMES)
    assert {*FILES, "resnet-38"} == set(PUBLISHED_NAMES), "each has a test"


@pytest.mark.parametrize("name", BACKBONES)
def test_registry_says_which_files_a_backbone_imports(name):
    assert BACKBONES[name].published == tuple(backbone_class(name).importers)


def test_names_and_registry_import_nothing_heavy():
    code = "import sys, wsgcn.weights.names, wsgcn.nets.registry; print({'torch', 'numpy', 'PIL'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "set()\n"


def test_whole_networks_are_stored_as_checkpoints_of_their_stages():
    irnet = {"backbone": "resnet-50-irnet", "output_stride": 16}
    psa = {"backbone": "resnet-38", "output_stride": 8}
    deeplab = {"backbone": "resnet-101-caffe", "output_stride": 8, "classes": 21, "dilations": [6, 12, 18, 24]}
    assert {name: one.checkpoint for name, one in LAYOUTS.items() if one.checkpoint} == {
        "irnet-cam": ("cams", irnet | {"classes": 21}),
        "irnet-boundary": ("affinity/boundary", irnet | {"displacement": True}),
        "psa-classifier": ("cams", psa | {"classes": 21}),
        "psa-affinitynet": ("affinity/affinitynet", psa),
        "seam": ("cams", psa | {"classes": 21}),
        "sc-cam": ("cams", psa | {"classes": 21}),
        "deeplab-voc": ("segtrain", deeplab),
    }


# ---------------------------------------------------------------- conversion


@pytest.mark.parametrize("network", FILES)
def test_published_file_is_converted(tmp_path, sizes, network):
    state = FILES[network](sizes)
    own, _ = imported(tmp_path, network, state)
    for there, here in same(network, sizes).items():
        assert torch.equal(own[here], state[there]), there
    needed = {id(one) for one in state.values()}  # aliases share their tensor
    assert len(own) <= len(needed) + sum(key.endswith("num_batches_tracked") for key in own)


@pytest.mark.parametrize("network", FILES)
def test_missing_and_unexpected_names_are_listed(tmp_path, sizes, network):
    state = FILES[network](sizes)
    gone, here = next(iter(same(network, sizes).items()))
    state["strange.weight"] = torch.zeros(1)
    del state[gone]
    with pytest.raises(DataError) as caught:
        imported(tmp_path, network, state)
    message = str(caught.value)
    assert message.startswith(f"{tmp_path / 'published.pth'} does not hold {network}: 1 missing (")
    assert here in message
    assert "1 unexpected (" in message
    assert "strange.weight" in message
    assert not (tmp_path / "weights").exists()


def test_wrong_shape_is_named(tmp_path, sizes):
    state = FILES["irnet-cam"](sizes)
    state["classifier.weight"] = torch.zeros(80, sizes.channels[-1], 1, 1)
    with pytest.raises(DataError, match=r"does not hold irnet-cam.*classifier\.weight"):
        imported(tmp_path, "irnet-cam", state)


def test_numbers_that_are_not_finite_are_refused(tmp_path, sizes):
    state = FILES["resnet-50"](sizes)
    state["conv1.weight"] = torch.full_like(state["conv1.weight"], torch.nan)
    with pytest.raises(DataError, match=r"the weights conv1\.weight are not finite"):
        imported(tmp_path, "resnet-50", state)


def test_names_of_data_parallel_are_unwrapped(tmp_path, tiny):
    state = FILES["resnet-50"](tiny)
    plain, _ = imported(tmp_path / "plain", "resnet-50", state)
    wrapped, _ = imported(tmp_path / "wrapped", "resnet-50", {f"module.{key}": one for key, one in state.items()})
    assert plain.keys() == wrapped.keys()
    assert all(torch.equal(plain[key], one) for key, one in wrapped.items())


def test_state_in_a_whole_training_checkpoint_is_found(tmp_path, tiny):
    state = FILES["resnet-50"](tiny)
    plain, _ = imported(tmp_path / "plain", "resnet-50", state)
    wrapped = {f"module.{key}": one for key, one in state.items()}
    inner, _ = imported(tmp_path / "inner", "resnet-50", {"epoch": 90, "arch": "resnet50", "state_dict": wrapped})
    assert plain.keys() == inner.keys()
    assert all(torch.equal(plain[key], one) for key, one in inner.items())


@pytest.mark.parametrize("network", ["resnet-50", "irnet-cam"])
def test_another_file_is_not_overwritten_unasked(tmp_path, tiny, network):
    state = FILES[network](tiny)
    _, out = imported(tmp_path, network, state)
    whole = out.read_bytes()
    imported(tmp_path, network, state)  # the same again
    other = {key: one + 1 for key, one in state.items()}
    with pytest.raises(UsageError, match=rf"{network}\.pt is there already and holds something else"):
        imported(tmp_path, network, other)
    assert out.read_bytes() == whole
    assert [one.name for one in out.parent.iterdir()] == [out.name]
    import_published(tmp_path / "published.pth", network, out, overwrite=True)
    assert out.read_bytes() != whole


def test_reason_is_pytorchs_own_without_its_advice(tmp_path, tiny):
    path = tmp_path / "published.pth"
    torch.save({"weight": Harmful()}, path)
    with pytest.raises(DataError) as caught:
        import_published(path, "resnet-50", tmp_path / "out.pt")
    assert "Unsupported" in str(caught.value)
    assert "print" in str(caught.value)
    assert "trust" not in str(caught.value)


class Harmful:
    """A pickle that would run code."""

    def __reduce__(self):
        return (print, ("it ran",))


@pytest.mark.parametrize("content", [{"weight": Harmful()}, [torch.zeros(1)], {"weight": 3}])
def test_what_is_no_plain_state_is_refused_with_a_reason(tmp_path, capsys, tiny, content):
    path = tmp_path / "published.pth"
    torch.save(content, path)
    with pytest.raises(DataError, match=r"cannot be read as weights \(|is not a state_dict"):
        import_published(path, "resnet-50", tmp_path / "out.pt")
    path.write_bytes(pickle.dumps(content, protocol=2))
    with pytest.raises(DataError, match=r"cannot be read as weights \("):
        import_published(path, "resnet-50", tmp_path / "out.pt")
    assert "it ran" not in capsys.readouterr().out
    assert not (tmp_path / "out.pt").exists()


def test_command_stores_below_weights_and_says_so(tmp_path, monkeypatch, sizes):
    monkeypatch.chdir(tmp_path)
    torch.save(FILES["resnet-50"](sizes), "resnet50-19c8e357.pth")
    done = CliRunner().invoke(app, ["weights", "import", "resnet50-19c8e357.pth", "--as", "resnet-50"])
    assert done.exit_code == 0, done.output
    assert "weights/resnet-50.pt is ready" in done.output
    build_backbone("resnet-50-irnet", 16, "weights/resnet-50.pt")


# ---------------------------------------------------------------- they fit what stages build


def test_classifier_fits_the_network_of_its_stage(tmp_path, sizes):
    _, path = imported(tmp_path, "irnet-cam", FILES["irnet-cam"](sizes))
    settings = {"backbone": "resnet-50-irnet", "output_stride": 16, "classes": 21}
    net = CamNet(build_backbone("resnet-50-irnet", 16, None), 20, 0.5)
    load_checkpoint(path, "cams", settings, net)


def test_seams_background_channel_is_left_out(tmp_path, sizes):
    state = FILES["seam"](sizes)
    own, path = imported(tmp_path, "seam", state)
    assert torch.equal(own["classifier.weight"], state["fc8.weight"][1:])
    net = SeamNet(build_backbone("resnet-38", 8, None), 20, 0.5)
    load_checkpoint(path, "cams", {"backbone": "resnet-38", "output_stride": 8, "classes": 21}, net)


def test_deeplab_of_a_file_is_the_formula_of_its_parts(tmp_path, sizes):
    """The sum of the four dilated convolutions over the features, written out."""
    state = FILES["deeplab-voc"](sizes)
    _, path = imported(tmp_path, "deeplab-voc", state)
    net = load_deeplab(path, torch.device("cpu"))
    features = torch.randn(1, sizes.channels[-1], 9, 11)
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


def test_resnet_38_comes_from_mxnet(tmp_path, sizes):
    state = {key: one for key, one in published.filled(published.resnet_38(sizes)).items() if one.ndim}
    names = published.mxnet_names(sizes)
    assert names["b4_3.conv_branch2b1.weight"] == "arg:res4b3_branch2b1_weight"
    assert names["b2.bn_branch2a.running_var"] == "aux:bn2a_branch2a_moving_var"
    arrays = {names[key]: one.numpy() for key, one in state.items()}
    classifier = {"arg:linear1000_weight": np.zeros((1000, 4), np.float32), "arg:linear1000_bias": np.zeros(1000)}
    path = tmp_path / "ilsvrc.params"
    published.write_mxnet(path, arrays | classifier, 0)
    import_published(path, "resnet-38", tmp_path / "resnet-38.pt")
    net = build_backbone("resnet-38", 8, str(tmp_path / "resnet-38.pt")).eval()
    own = net.state_dict()
    assert all(torch.equal(own[key], one) for key, one in state.items())
    with torch.no_grad():
        assert all(one.isfinite().all() for one in net(torch.randn(1, 3, 24, 24)))
    del arrays["arg:conv1a_weight"]
    published.write_mxnet(path, arrays | {"arg:new": np.zeros(1)}, 0)
    with pytest.raises(
        DataError, match=r"does not hold resnet-38: 1 missing \(conv1a.weight\), 1 unexpected \(arg:new"
    ):
        import_published(path, "resnet-38", tmp_path / "again.pt")


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
    with pytest.raises(DataError, match=r"gone\.params is missing"):
        read_params(tmp_path / "gone.params")
