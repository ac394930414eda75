"""Every importer beside the public module: its names and shapes, and what it makes of one picture, written down here.

The numbers are printed by ``PUBLIC=DIR python -m tests.parity.golden``, from weights that follow from the names. So a
parameter that lands in the wrong place, or a layer that is another, shows without the public code. MobileNetV2 is
torchvision's alone, and has none.
"""

import hashlib

import pytest
import torch

from tests.nets.sizes import FULL
from tests.weights import published
from tests.weights.golden import digest, numbers, picture, seeded
from tests.weights.test_import import FILES
from wsgcn.nets.base import to_input
from wsgcn.nets.build import build_backbone
from wsgcn.store.checkpoints import fill
from wsgcn.weights.layouts import LAYOUTS

GOLDEN = {
    "resnet-50": (
        "9fb760970125b1e9",
        [
            [1.28944, 1.28944, 5.45502, 0.373784, -0.183692],
            [0.469519, 0.469519, 5.61013, 0.165012, 0.0145298],
            [0.327114, 0.327114, 2.73559, -0.0762062, 0.263099],
            [0.3085, 0.3085, 2.09048, -0.411376, -0.0910211],
            [0.190954, 0.190954, 1.46528, 0.0818593, 0.00269465],
        ],
    ),
    "resnet-101": (
        "5a1ad461b7161e1c",
        [
            [1.28944, 1.28944, 5.45502, 0.373784, -0.183692],
            [0.469519, 0.469519, 5.61013, 0.165012, 0.0145298],
            [0.327114, 0.327114, 2.73559, -0.0762062, 0.263099],
            [0.618588, 0.618588, 3.85566, 0.947263, -0.230487],
            [0.301522, 0.301522, 2.49621, 0.0744786, -0.0566393],
        ],
    ),
    "drn-d-105": (
        "e69e107869ac5f41",
        [
            [0.293538, 0.293538, 2.33935, -0.573426, 0.3042],
            [0.245673, 0.245673, 2.78986, -0.0984859, 0.05979],
            [0.215421, 0.215421, 1.71689, 0.0470019, 0.0507065],
            [0.277254, 0.277254, 3.06204, 0.205489, 0.080617],
            [0.0793934, 0.0793934, 0.712915, -0.220724, 0.00815555],
        ],
    ),
    "irnet-cam": ("82034815272a0dcf", [[0.287108, 0.287108, 1.74067, -2.32547, -0.0261724]]),
    "irnet-boundary": (
        "ab3c03960c8a3524",
        [[0.146645, 0.174183, 0.558311, 0.0798524, 0.0674817], [0.0208494, 0.152964, 0.497111, 0.136016, -0.0556018]],
    ),
    "psa-classifier": ("d55e51fded2bf61b", [[0.0525659, 0.0525659, 0.288665, 0.0594613, -0.00331253]]),
    "sc-cam": ("0f64576d925a6728", [[0.0935538, 0.0935538, 0.308664, 0.0223142, -0.00479822]]),
    "psa-affinitynet": ("569641e75fd089d0", [[-0.000244798, 0.110312, 0.573852, 0.155446, 0.0513346]]),
    "seam": (
        "e200a5e21ab143c2",
        [
            [0.00581151, 0.0993039, 0.288665, -0.0146267, -0.000326764],
            [0.047619, 0.047619, 0.235214, 0.0295908, 0.000831526],
        ],
    ),
    "deeplab-voc": ("784594e2ae89c08d", [[2.37335, 6.0268, 24.2103, 8.54957, -0.834594]]),
    "deeplab-coco": (
        "f87b02ee74fd66d0",
        [
            [71.4684, 71.4684, 293.949, -6.18021, 20.0909],
            [29.2248, 29.2248, 359.891, -23.5899, -1.48463],
            [16.6074, 16.6074, 212.941, 4.27215, -0.299752],
            [15.0003, 15.0003, 145.671, -9.2928, -1.53796],
            [8.20591, 8.20591, 100.346, -2.96513, -0.555788],
        ],
    ),
}
"""Digest of names and shapes, and numbers of each map, by importer."""

MXNET = "43d9e1ac6df7c536"
"""Digest of MXNet's names of ResNet-38's parameters, as PSA's converter renames them."""

NOT_OF_THE_MODULE = ("path_indices", "disp_target")
"""Beginnings of what IRNet's files hold beside the network."""


def _state(name):
    """The published file, with the weights that follow from the names; torchvision's classifiers are no module here."""
    dropped = ("fc.", *NOT_OF_THE_MODULE) if name in ("resnet-50", "resnet-101") else NOT_OF_THE_MODULE
    return {key: one for key, one in FILES[name](FULL).items() if not key.startswith(dropped)}


def _ours(name):
    """Our network with the imported weights; backbones of torchvision stride as torchvision's."""
    state = LAYOUTS[name].convert(seeded(_state(name)))
    with torch.device("meta"):  # its own first weights would take seconds
        net = build_backbone(name, 32, None) if name in ("resnet-50", "resnet-101") else LAYOUTS[name].build()
    fill(net, state, name)
    net.load_state_dict(state, strict=False, assign=True)
    return net.eval()


def _field_and_boundary(net, x):
    taps = net.taps(x)
    return [net.last(net.node_features(taps, (16, 16))), net.displacement(taps, (16, 16))]


def _mirrored_too(net, x):
    plain, mirrored = net.activation_maps(torch.cat([x, x.flip(-1)]))
    return [plain + mirrored.flip(-1)]


SHOWN = {
    "irnet-cam": _mirrored_too,
    "irnet-boundary": _field_and_boundary,
    "psa-classifier": lambda net, x: [net.activation_maps(x)],
    "sc-cam": lambda net, x: [net.activation_maps(x)],
    "psa-affinitynet": lambda net, x: [net.node_features(net.taps(x), (8, 8))],
    "seam": lambda net, x: [net.maps(x).cams, net.maps(x).revised],
    "deeplab-voc": lambda net, x: [net(x)],
}
"""What is compared; of a backbone all its maps."""


def mapping_digest(names):
    return hashlib.sha256("\n".join(sorted(f"{key} {one}" for key, one in names.items())).encode()).hexdigest()[:16]


def test_mxnet_names_are_those_of_psas_converter():
    assert mapping_digest(published.mxnet_names(FULL)) == MXNET


@pytest.mark.parametrize("name", GOLDEN)
def test_names_and_shapes_are_the_public_modules(name):
    assert digest(_state(name)) == GOLDEN[name][0]


@torch.no_grad()
@pytest.mark.filterwarnings("ignore:for .* copying from a non-meta parameter")
@pytest.mark.parametrize("name", GOLDEN)
def test_imported_network_makes_of_a_picture_what_the_public_module_makes(name):
    """DeepLab's is shown grey levels less a mean and pads with zeros, ours pads with a level beside it."""
    net = _ours(name)
    x = to_input(picture())[None]
    found = numbers(SHOWN.get(name, lambda net, x: net(x))(net, x))
    error = 1e-2 if name.startswith("deeplab") else 1e-4
    for one, expected in zip(found, GOLDEN[name][1], strict=True):
        assert one == pytest.approx(expected, rel=error, abs=error * expected[1])
