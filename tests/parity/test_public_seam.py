"""SEAM's own network, loss functions and inference script beside ours, with the same random weights.

As ``test_public_modules.py``: ``PUBLIC`` names the folder with its work tree, as ``seam``. ``train_SEAM.py`` begins to
train where it is run, so that what stands in its loop is written out here, on its own functions.
"""

import importlib

import numpy as np
import pytest
import torch
from torch.nn import functional

from tests.parity import scripts
from tests.parity.public import MARKS, PUBLIC, ours, photo, scrambled
from tests.parity.steps import saved_photo
from wsgcn.cams.cam import photo_maps
from wsgcn.cams.seam_fit import SeamLoss, class_loss, equivariance, min_pooling
from wsgcn.cams.seam_net import SeamMaps, stretched, strongest_with_background
from wsgcn.nets.base import to_input
from wsgcn.params import load_params
from wsgcn.vocabulary import PRESET_FOLDER

pytestmark = MARKS
PARAMS = load_params(PRESET_FOLDER / "voc12.yaml").cams["seam"]
SIZE = (45, 61)


@pytest.fixture
def net(theirs):
    """Their network; random features are far larger than trained ones, and its classifier's that much smaller."""
    torch.manual_seed(0)
    with torch.no_grad():
        return scrambled(theirs("seam", "network.resnet38_SEAM").Net(), 1)


@pytest.fixture
def script(theirs, without):
    """Their training script, of which importing runs nothing but the definitions."""
    without("cv2", "torchvision", "tensorboardX", "voc12", "voc12.data")
    return theirs("seam", "train_SEAM")


@torch.no_grad()
def active(net, x, count):
    """The classes whose corrected maps vary most; random weights activate few."""
    spread = net(x)[1][:, 1:].std(dim=(2, 3)).amax(dim=0)
    return (spread.topk(count).indices + 1).sort().values.tolist()


def targets(*class_ids):
    """A row of zeros and ones for each photograph."""
    return torch.from_numpy(np.stack([scripts.shown(one) for one in class_ids]))


@torch.no_grad()
@pytest.mark.parametrize("size", [(64, 80), SIZE])
def test_both_maps_of_the_network(net, size):
    x = torch.stack([to_input(photo(*size)), to_input(photo(*size)).flip(-1)])
    cams, revised = net(x)
    found = ours("seam", net.state_dict()).maps(x)
    torch.testing.assert_close(found.cams, cams[:, 1:], rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(found.revised, revised, rtol=0, atol=1e-4)
    assert revised[:, 1:].std() > 0.01


def their_losses(script, views, target):
    """The lines of the training loop: their class loss, min-pooling loss, ER and ECR."""
    label = torch.cat([torch.ones(len(target), 1), target], dim=1)[:, :, None, None]
    (cam1, cam_rv1), (cam2, cam_rv2) = views
    norm = script.visualization.max_norm

    def shrunk(maps):
        return functional.interpolate(norm(maps), scale_factor=0.3, mode="bilinear", align_corners=True) * label

    pooled = [functional.adaptive_avg_pool2d(one, (1, 1)) for one in (cam1, cam2)]
    quarters = [script.adaptive_min_pooling_loss((one * label)[:, 1:]) for one in (cam_rv1, cam_rv2)]
    cam1, cam_rv1, cam2, cam_rv2 = shrunk(cam1), shrunk(cam_rv1), norm(cam2) * label, norm(cam_rv2) * label
    classes = [functional.multilabel_soft_margin_loss(one[:, 1:], label[:, 1:]) for one in pooled]
    rows, columns = cam2.shape[2:]
    er = (cam1[:, 1:] - cam2[:, 1:]).abs().mean()
    cam1[:, 0], cam2[:, 0] = 1 - cam1[:, 1:].max(dim=1)[0], 1 - cam2[:, 1:].max(dim=1)[0]
    tensors = [
        (script.max_onehot(cam2.detach()) - cam_rv1).abs(),
        (script.max_onehot(cam1.detach()) - cam_rv2).abs(),
    ]
    ecr = sum(torch.topk(one.view(len(one), -1), k=int(21 * rows * columns * 0.2))[0].mean() for one in tensors)
    return sum(classes) / 2, sum(quarters) / 2, er, ecr


def test_losses_and_their_gradients(script):
    target = targets((3, 12), (7,))
    generator = torch.Generator().manual_seed(0)
    views = [
        tuple(
            one(2, 21, side, side, generator=generator).requires_grad_()
            for one in (torch.randn, torch.rand)  # the classifier's maps, and corrected ones
        )
        for side in (80, 24)
    ]
    whole, small = (SeamMaps(cams[:, 1:], revised) for cams, revised in views)
    found = [
        (class_loss(whole, target) + class_loss(small, target)).mean() / 2,
        (min_pooling(whole, target) + min_pooling(small, target)).mean() / 2,
        *(one.mean() for one in equivariance(whole, small, target, PARAMS.train.hard_share)),
    ]
    inputs = [part for one in views for part in one]
    for mine, expected in zip(found, their_losses(script, views, target), strict=True):
        torch.testing.assert_close(mine, expected, rtol=1e-5, atol=0)
        pairs = [torch.autograd.grad(one, inputs, retain_graph=True, allow_unused=True) for one in (mine, expected)]
        for own, other in zip(*pairs, strict=True):
            if other is None or other.abs().max() == 0:
                assert own is None or own.abs().max() == 0
            else:
                torch.testing.assert_close(own, other, rtol=1e-4, atol=1e-4 * float(other.abs().max()))


def test_ours_leaves_the_maps_as_they_are_and_theirs_does_not(script):
    """Pitfall P13; no loss reads them afterwards, so that only their pictures of the training differ."""
    foreground = torch.rand(2, 20, 5, 6, generator=torch.Generator().manual_seed(0))
    kept = foreground.clone()
    found = strongest_with_background(foreground)
    assert torch.equal(foreground, kept)
    cam = torch.cat([1 - foreground.amax(dim=1, keepdim=True), foreground], dim=1)
    changed = script.max_onehot(cam.detach())
    torch.testing.assert_close(found, changed)
    assert torch.equal(cam, changed)
    assert not torch.equal(cam[:, 1:], kept)


def test_gradient_of_the_whole_loss(net, script):
    """In evaluation, in which no channel is dropped; norms are always so."""
    x = torch.stack([to_input(photo(80, 80)), to_input(photo(80, 80)[::-1].copy())])
    first, second, third = active(net, x, 3)
    target = targets((first, second), (third,))
    mine = ours("seam", net.state_dict())
    small = functional.interpolate(x, scale_factor=0.3, mode="bilinear", align_corners=True)
    expected = sum(their_losses(script, [net(x), net(small)], target))
    loss = SeamLoss(mine, PARAMS.train).eval()
    found = loss(x, target)
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=0)
    found.backward()
    expected.backward()
    gradients = {"fc8": mine.classifier.weight, "f8_3": mine.correlation.branches[0].weight}
    gradients |= {"f8_4": mine.correlation.branches[1].weight, "f9": mine.correlation.last.weight}
    gradients["b7.conv_branch2b2"] = mine.backbone.b7.conv_branch2b2.weight
    for name, one in gradients.items():
        theirs = net.get_parameter(f"{name}.weight").grad
        theirs = theirs[1:] if name == "fc8" else theirs
        torch.testing.assert_close(one.grad, theirs, rtol=0, atol=1e-3 * float(theirs.abs().max()))
        assert theirs.abs().max() > 0
    assert net.fc8.weight.grad[0].abs().max() == 0, "nothing reads the background channel that ours lacks"


def test_as_many_parameters_learn(net):
    net.train()
    assert [len(group) for group in net.get_parameter_groups()] == [35, 0, 4, 0]


def test_optimiser_has_no_momentum_to_speak_of(theirs, without):
    """Pitfall P1: the weight decay takes the momentum's place; groups have their own."""
    without("torchvision")
    optimizer = theirs("seam", "tool.torchutils").PolyOptimizer(
        [{"params": [torch.nn.Parameter(torch.zeros(1))], "lr": 0.01, "weight_decay": 5e-4}], 0.01, 5e-4, 100
    )
    (group,) = optimizer.param_groups
    assert (group["momentum"], group["weight_decay"]) == (5e-4, 5e-4)
    assert PARAMS.train.optimiser.momentum == 0


def test_cams_of_a_photograph(tmp_path):
    if not (PUBLIC / "seam").is_dir():
        pytest.skip(f"{PUBLIC / 'seam'} is not there")
    rgb_u8 = photo(*SIZE)
    with scripts.public_project(PUBLIC / "seam", tmp_path) as caught:
        torch.manual_seed(0)
        net = scrambled(importlib.import_module("network.resnet38_SEAM").Net(), 1)
        state = {key: one.clone() for key, one in net.state_dict().items()}
        class_ids = active(net, to_input(rgb_u8)[None], 2)
        cams = scripts.seam_cams(caught, net, rgb_u8, class_ids)
    mine = ours("seam", state)
    maps, _ = photo_maps(mine, saved_photo(tmp_path, rgb_u8), class_ids, PARAMS.infer, "cpu")
    expected = np.stack([cams[one - 1] for one in class_ids])
    np.testing.assert_allclose(stretched(maps), expected.clip(0), atol=1e-3)
    assert expected.std() > 0.1
