"""RRM beside its public project: lattice, dense energy, cross-entropies, reliable labels, the classifier's maps."""

import ctypes
import subprocess
import sys
from shutil import which
from types import ModuleType, SimpleNamespace

import numpy as np
import pytest
import torch
import yaml
from torch import nn
from torch.nn import functional

from tests.parity.public import MARKS, PUBLIC, photo, scrambled
from wsgcn.nets.base import to_input
from wsgcn.nets.deeplab import build_deeplab
from wsgcn.ops.dense_energy import dense_energy
from wsgcn.ops.densecrf import bilateral_filter
from wsgcn.segtrain.reliable import reliable_labels
from wsgcn.segtrain.rrm import Rrm
from wsgcn.segtrain.rrm_fit import RrmLoss, balanced_cross_entropy
from wsgcn.vocabulary import PRESET_FOLDER

pytestmark = MARKS
CLASSES = 21
ARRAY = ctypes.POINTER(ctypes.c_float)
SOURCE = """
#include "bilateralfilter.cpp"
#include "permutohedral.cpp"
extern "C" void filter(float* image, float* in, float* out, int n, int k, int h, int w, float rgb, float xy) {
  bilateralfilter_batch(image, 3 * n * h * w, in, k * n * h * w, out, k * n * h * w, n, k, h, w, rgb, xy);
}
"""


def numbers():
    """Those of preset ``voc12``."""
    content = yaml.safe_load((PRESET_FOLDER / "voc12.yaml").read_text())["segtrain"]["rrm"]
    return Rrm.model_validate(content)


@pytest.fixture(scope="module")
def lattice(tmp_path_factory):
    """Their C++ filter, compiled as it is, with the signature of the function that SWIG would make of it."""
    wrapper, folder = PUBLIC / "rrm" / "wrapper" / "bilateralfilter", tmp_path_factory.mktemp("lattice")
    if not wrapper.is_dir() or which("g++") is None:
        pytest.skip("needs the public project and g++")
    (folder / "filter.cpp").write_text(SOURCE)
    flags = ["-O2", "-w", "-fopenmp", "-shared", "-fPIC", f"-I{wrapper}"]
    subprocess.run(["g++", *flags, str(folder / "filter.cpp"), "-o", str(folder / "filter.so")], check=True)
    compiled = ctypes.CDLL(str(folder / "filter.so"))

    def batch(images, maps, sums, photos, classes, height, width, sigma_rgb, sigma_xy):
        kept = [np.ascontiguousarray(one, dtype=np.float32) for one in (images, maps)]
        pointers = [one.ctypes.data_as(ARRAY) for one in (*kept, sums)]
        sigmas = ctypes.c_float(sigma_rgb), ctypes.c_float(sigma_xy)
        compiled.filter(*pointers, photos, classes, height, width, *sigmas)

    return batch


@pytest.fixture
def tools(theirs, without, monkeypatch):
    """Their functions, whose tensors stay on the CPU; of torchvision they only derive a class that is not used."""
    without("cv2")
    torchvision = ModuleType("torchvision")
    torchvision.transforms = SimpleNamespace(Compose=object)
    monkeypatch.setitem(sys.modules, "torchvision", torchvision)
    monkeypatch.setattr(torch.Tensor, "cuda", lambda self: self.clone())  # a copy, as on a GPU
    return theirs("rrm", "tool.myTool")


def case(height=40, width=52, photos=2):
    generator = torch.Generator().manual_seed(0)
    logits = 3 * torch.randn(photos, CLASSES, height // 4, width // 4, generator=generator)
    cells = torch.randint(0, 6, (photos, 1, height // 8 + 1, width // 8 + 1), generator=generator).float()
    labels = functional.interpolate(cells, size=(height, width), mode="nearest")[:, 0].byte()
    labels[labels == 5] = 255
    inside = torch.ones(photos, height, width, dtype=torch.bool)
    inside[:, : height // 5] = False
    rgb_u8 = np.stack([photo(height, width), photo(height, width)[::-1, ::-1]])
    return logits, labels, inside, rgb_u8


def test_lattice(lattice):
    rgb_u8 = photo(31, 42)
    maps = np.random.default_rng(0).random((5, 31, 42)).astype(np.float32)
    expected = np.zeros_like(maps)
    lattice(rgb_u8.transpose(2, 0, 1), maps, expected, 1, 5, 31, 42, 15.0, 50.0)
    np.testing.assert_allclose(bilateral_filter(maps, rgb_u8, 50, 15), expected, rtol=1e-6)


def test_joint_loss_and_its_gradients(theirs, tools, lattice, monkeypatch):
    """Cross-entropies of background and foreground, and the dense energy of half the resolution."""
    wrapper = ModuleType("bilateralfilter")
    wrapper.bilateralfilter = wrapper.bilateralfilter_batch = lattice
    monkeypatch.setitem(sys.modules, "bilateralfilter", wrapper)
    energy = theirs("rrm", "DenseEnergyLoss")
    logits, labels, inside, rgb_u8 = case()
    params = numbers().energy
    layer = energy.DenseEnergyLoss(1e-3, params.sigma_rgb, params.sigma_xy, params.scale)
    criterion = nn.CrossEntropyLoss(ignore_index=255)
    found, expected = [], []
    given = logits.clone().requires_grad_()
    photos = rgb_u8.transpose(0, 3, 1, 2)
    croppings = inside.numpy().astype(np.float64).transpose(1, 2, 0)
    losses = tools.compute_joint_loss(photos, given, labels.numpy().astype(np.float64), croppings, criterion, layer)
    expected += [one.item() for one in losses]
    expected += [torch.autograd.grad(one.sum(), given, retain_graph=True)[0] for one in losses]
    given = logits.clone().requires_grad_()
    large = functional.interpolate(given, size=labels.shape[1:], mode="bilinear", align_corners=False)
    settings = params.model_dump(exclude={"weight"})
    dense = dense_energy(large.softmax(1), torch.from_numpy(photos.copy()), labels, inside, **settings)
    losses = balanced_cross_entropy(large, labels), 1e-3 * dense.mean()
    found += [one.item() for one in losses]
    found += [torch.autograd.grad(one, given, retain_graph=True)[0] for one in losses]
    assert found[:2] == pytest.approx(expected[:2], rel=1e-5)
    for mine, other in zip(found[2:], expected[2:]):
        assert float(other.abs().max()) > 1e-4
        torch.testing.assert_close(mine, other, rtol=1e-4, atol=1e-6)


def test_reliable_labels(tools):
    for seed, shown in enumerate(([3], [0, 7], [2, 5, 19])):
        rgb_u8 = photo(60, 75)
        cams = np.zeros((CLASSES - 1, 60, 75), np.float32)
        generator = torch.Generator().manual_seed(seed)
        cells = torch.rand(len(shown), 1, 5, 6, generator=generator) ** 3
        maps = functional.interpolate(cells, size=(60, 75), mode="bilinear", align_corners=False)[:, 0].numpy()
        cams[shown] = maps / (maps.max(axis=(1, 2), keepdims=True) + 1e-5)
        there = np.isin(np.arange(CLASSES - 1), shown).astype(np.float32)
        expected = tools.compute_seg_label(rgb_u8.copy(), there, cams.copy())
        found = reliable_labels(cams[shown], rgb_u8, numbers().reliable)
        ids = np.array([0, *(np.array(shown) + 1)])
        np.testing.assert_array_equal(np.where(found == 255, 255, ids[np.minimum(found, len(shown))]), expected)
        assert len(np.unique(found)) > 2


def test_classification_and_maps_of_four_scales(theirs):
    """Their segmentation network is theirs alone; what teaches it is not."""
    with torch.no_grad():
        net = scrambled(theirs("rrm", "network.RRM").SegNet(), 1)
    settings = {"backbone": "resnet-38", "output_stride": 8, "classes": CLASSES, "dilations": [12]}
    mine = build_deeplab(settings, None)
    state = {name: one for name, one in net.state_dict().items() if not name.startswith("fc8")}
    mine.backbone.load_state_dict(state)
    loss = RrmLoss(mine, numbers()).eval()
    loss.classifier.load_state_dict(net.fc8.state_dict())
    photos = torch.stack([to_input(photo(64, 64)), to_input(photo(64, 64)[::-1])])
    with torch.no_grad():
        logits, cam, _ = net(photos)
        features = mine.backbone(photos)[-1]
        pooled = loss.classifier(features.mean(dim=(2, 3), keepdim=True)).flatten(1)
        found = loss._activation_maps(features, photos)
    torch.testing.assert_close(pooled, logits, rtol=1e-4, atol=1e-4)
    enlarged = functional.interpolate(cam, size=(64, 64), mode="bilinear", align_corners=False)
    torch.testing.assert_close(found, enlarged, rtol=1e-4, atol=1e-4 * float(enlarged.max()))
