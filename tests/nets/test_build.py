"""Building a backbone by name: the registry, published files and their faults."""

import ast
import sys
from pathlib import Path

import pytest
import torch

from wsgcn.errors import DataError, UsageError
from wsgcn.nets.base import Backbone
from wsgcn.nets.build import backbone_class, build_backbone
from wsgcn.nets.registry import BACKBONES, BackboneEntry, backbone_module, find_backbone

IMAGENET = Path(__file__).parents[3] / "shared" / "data" / "weights" / "mobilenet_v2-imagenet.pth"
NETS = Path(__file__).parents[2] / "wsgcn" / "nets"


@pytest.mark.parametrize("name", BACKBONES)
def test_entry_names_a_backbone_in_a_file_of_its_own(name):
    assert backbone_class(name).__module__ == backbone_module(name)
    assert backbone_class(name).name == name
    assert issubclass(backbone_class(name), Backbone)
    assert [other for other in BACKBONES if backbone_module(other) == backbone_module(name)] == [name]


def test_only_the_registry_knows_all_backbones():
    """What a backbone's result is made of must not hold the other backbones, or the list of them."""
    modules = {backbone_module(name) for name in BACKBONES} | {"wsgcn.nets.registry"}
    for path in NETS.glob("*.py"):
        tree = ast.parse(path.read_text())
        imported = {node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
        assert not imported & modules, path.name


def test_unknown_backbone_is_refused_with_the_known_ones():
    for ask in (find_backbone, backbone_module, backbone_class, lambda name: build_backbone(name, 8, None)):
        with pytest.raises(ValueError, match=f"no backbone is called 'vgg', known are {', '.join(BACKBONES)}"):
            ask("vgg")


@pytest.mark.parametrize("name", BACKBONES)
def test_output_stride_that_a_backbone_does_not_have_is_refused(name):
    listed = {(8,): "8", (8, 16, 32): "8, 16 or 32"}[backbone_class(name).output_strides]
    for stride in {4, 16, 64} - {*backbone_class(name).output_strides}:
        with pytest.raises(UsageError, match=f"^{name} has output stride {listed}, not {stride}: set output_stride"):
            build_backbone(name, stride, None)


NEW_BACKBONE = """
from torch import nn
from wsgcn.nets.base import Backbone

class Strided(Backbone):
    name = "strided"
    mean = (0.5, 0.5, 0.5)
    std = (0.5, 0.5, 0.5)

    def __init__(self, output_stride):
        super().__init__(output_stride)
        self.channels, self.strides = [4] * 5, [output_stride] * 5
        self.only = nn.Conv2d(3, 4, output_stride, output_stride)

    def maps(self, x):
        yield from [self.only(x)] * 5

    def stages(self):
        return [[self.only], [], [], [], []]
"""


def test_new_backbone_is_one_file_and_one_entry(tmp_path, monkeypatch):
    (tmp_path / "strided_backbone.py").write_text(NEW_BACKBONE)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setitem(BACKBONES, "strided", BackboneEntry("strided_backbone:Strided"))
    net = build_backbone("strided", 16, None)
    assert [one.shape for one in net(torch.zeros(1, 3, 32, 48))] == [(1, 4, 2, 3)] * 5
    assert net.to_input(torch.full((2, 2, 3), 255).byte().numpy()).unique().tolist() == [1]
    del sys.modules["strided_backbone"]


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


@pytest.mark.realdata
@pytest.mark.skipif(not IMAGENET.is_file(), reason=f"{IMAGENET} is not on this machine")
def test_published_imagenet_weights_load():
    net = build_backbone("mobilenet-v2", 16, str(IMAGENET)).eval()
    fresh = build_backbone("mobilenet-v2", 16, None).eval()
    assert not torch.equal(net.state_dict()["features.0.0.weight"], fresh.state_dict()["features.0.0.weight"])
    with torch.no_grad():
        maps = net(torch.randn(1, 3, 96, 96))
    assert all(one.isfinite().all() and one.std() > 0 for one in maps)
