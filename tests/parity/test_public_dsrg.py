"""The layers of the public DSRG beside ours: probabilities, dense CRF, growth, losses and their gradients.

The layers are Caffe's, their formulas Theano's; neither can be installed here. What stands in for Theano computes the
same expressions with PyTorch, and pydensecrf for the project's own wrapper of the same CRF library.
"""

import builtins
import pickle
import sys
from types import ModuleType, SimpleNamespace

import numpy as np
import pydensecrf.densecrf
import pytest
import torch

from tests.parity.public import MARKS, photo
from wsgcn.segtrain.dsrg_fit import boundary_loss, floored_softmax, grown_seeds, refined_probs, seeding_loss

pytestmark = MARKS

BATCH, CLASSES, SIDE = 3, 6, 21
GROWTH = SimpleNamespace(foreground=0.85, background=0.99)
CRF = SimpleNamespace(
    iterations=10, gaussian_sxy=3, gaussian_compat=3, bilateral_sxy=80, bilateral_srgb=13, bilateral_compat=10
)
MEANS = np.array([104.0, 117.0, 123.0])


class Expression:
    """A formula that is computed when its variables are known."""

    def __init__(self, compute):
        self.compute = compute

    def exp(self):
        return self._then(torch.exp)

    def __getitem__(self, key):
        return self._then(lambda one: one[key])

    def _then(self, function, *others):
        return Expression(lambda known: function(*(_value(one, known) for one in (self, *others))))


for name in ("add", "radd", "sub", "rsub", "mul", "rmul", "truediv", "neg", "gt"):
    method = f"__{name}__"
    setattr(Expression, method, lambda self, *others, name=method: self._then(_operator(name), *others))


def _operator(name):
    return lambda one, *others: getattr(torch.as_tensor(one), name)(*others)


def _value(one, known):
    return one.compute(known) if isinstance(one, Expression) else one


def _theano():
    """The part of Theano that the layers use."""
    reduced = {
        name: lambda one, axis=None, keepdims=False, function=function: one._then(
            lambda value: function(value, dim=axis, keepdim=keepdims) if axis is not None else function(value)
        )
        for name, function in (("sum", torch.sum), ("mean", torch.mean), ("max", torch.amax))
    }

    def variable():
        found = Expression(lambda known: known[id(found)])
        return found

    def gradient(cost, given):
        several = isinstance(given, list)

        def compute(known):
            found = torch.autograd.grad(
                cost.compute(known), [one.compute(known) for one in (given if several else [given])]
            )
            return list(found) if several else found[0]

        return Expression(compute)

    def function(variables, formula):
        def call(*arrays):
            known = {
                id(one): torch.tensor(np.array(array, dtype=np.float64), requires_grad=True)
                for one, array in zip(variables, arrays)
            }
            found = formula.compute(known)
            return [one.numpy() for one in found] if isinstance(found, list) else found.detach().numpy()

        return call

    tensor = ModuleType("theano.tensor")
    vars(tensor).update(
        reduced,
        ftensor4=variable,
        grad=gradient,
        addbroadcast=lambda one, axis: one,
        exp=lambda one: one.exp(),
        log=lambda one: one._then(torch.log),
        clip=lambda one, low, high: one._then(lambda value: value.clamp(low, high)),
        maximum=lambda one, least: one._then(lambda value: value.clamp(min=least)),
    )
    theano = ModuleType("theano")
    theano.function, theano.tensor = function, tensor
    return {"theano": theano, "theano.tensor": tensor}


class Wrapper:
    """The project's Cython class of this library, in terms of pydensecrf."""

    def __init__(self, width, height, labels):
        self.labels, self.crf = labels, pydensecrf.densecrf.DenseCRF2D(width, height, labels)
        self.size = height, width

    def set_unary_energy(self, costs):
        self.crf.setUnaryEnergy(np.ascontiguousarray(costs.reshape(-1, self.labels).T))

    def add_pairwise_energy(self, colour_weight, x, y, red, green, blue, weight, near_x, near_y, image):
        self.crf.addPairwiseGaussian(sxy=(near_x, near_y), compat=weight)
        colours = np.ascontiguousarray(image.reshape(*self.size, 3))
        self.crf.addPairwiseBilateral(sxy=(x, y), srgb=(red, green, blue), rgbim=colours, compat=colour_weight)

    def inference(self, iterations):
        return np.array(self.crf.inference(iterations)).T.ravel()


class InProcess:
    """A pool of no processes."""

    def map(self, function, items):
        return [*map(function, items)]


@pytest.fixture
def layers(theirs, without, monkeypatch):
    """Their module of layers."""
    without("cv2", "sklearn", "sklearn.cluster", "caffe")
    sys.modules["caffe"].Layer = object
    wrapper = ModuleType("krahenbuhl2013.wrapper")
    wrapper.DenseCRF = Wrapper
    for name, module in {**_theano(), "krahenbuhl2013.wrapper": wrapper, "cPickle": pickle}.items():
        monkeypatch.setitem(sys.modules, name, module)
    theirs("dsrg/CRF", "krahenbuhl2013.CRF")
    crf = ModuleType("krahenbuhl2013")
    crf.CRF = sys.modules["krahenbuhl2013.CRF"].CRF
    monkeypatch.setitem(sys.modules, "krahenbuhl2013", crf)
    theirs("dsrg/pylayers/pylayers", "CC_labeling_8")
    monkeypatch.setattr(builtins, "xrange", range, raising=False)  # it is Python 2
    module = theirs("dsrg/pylayers/pylayers", "pylayers")
    module.Pool = InProcess
    return module


class Blob:
    """What a Caffe layer reads and writes."""

    def __init__(self, data):
        self.data = np.array(data, dtype=np.float64)
        self.diff = np.zeros_like(self.data)

    def reshape(self, *shape):
        self.data, self.diff = np.zeros(shape), np.zeros(shape)


def run(layer, *inputs):
    """What a layer makes of its inputs, and itself with both sides."""
    below, above = [Blob(one) for one in inputs], [Blob(0)]
    layer.setup(below, above)
    layer.reshape(below, above)
    layer.forward(below, above)
    return above[0].data, below, above


def _logits(scale=4.0):
    """Regions of one class each, with noise: certain in places."""
    generator = torch.Generator().manual_seed(0)
    coarse = torch.randn((BATCH, CLASSES, 4, 4), generator=generator)
    smooth = torch.nn.functional.interpolate(coarse, size=(SIDE, SIDE), mode="bilinear")
    return (scale * (smooth + 0.1 * torch.randn(smooth.shape, generator=generator))).double()


def _photos():
    """``(B, 3, SIDE, SIDE)`` uint8."""
    return torch.stack(
        [torch.from_numpy(photo(SIDE + 8 * b, SIDE)[8 * b :].copy()).permute(2, 0, 1) for b in range(BATCH)]
    )


def _probs():
    return floored_softmax(_logits())


def _shown():
    shown = torch.zeros(BATCH, CLASSES, dtype=torch.bool)
    shown[:, 0] = True
    for b, some in enumerate(([1, 4], [3], [2, 3, 5])):
        shown[b, some] = True
    return shown


def _seeds():
    random = np.random.default_rng(1)
    seeds = np.full((BATCH, SIDE, SIDE), 255, dtype=np.uint8)
    for one, shown in zip(seeds, _shown().numpy()):
        there = random.random((SIDE, SIDE)) < 0.05
        one[there] = random.choice(np.flatnonzero(shown), there.sum())
    return torch.from_numpy(seeds)


def _one_hot(labels):
    return (labels[:, None] == torch.arange(CLASSES)[:, None, None]).double().numpy()


def test_softmax(layers):
    logits = _logits().requires_grad_()
    found, below, above = run(layer := layers.SoftmaxLayer(), logits.detach())
    probs = floored_softmax(logits)
    np.testing.assert_allclose(probs.detach(), found, rtol=0, atol=1e-6)
    above[0].diff = np.random.default_rng(0).standard_normal(found.shape)
    layer.backward(above, [True], below)
    probs.backward(torch.from_numpy(above[0].diff).float())
    np.testing.assert_allclose(logits.grad, below[0].diff, rtol=0, atol=1e-5)


def test_dense_crf_of_probabilities_taken_for_energies(layers):
    """Ours is in pixels and has the cells' size; theirs divides by 12."""
    probs, photos = _probs(), _photos()
    found, *_ = run(layers.CRFLayer(), probs, photos.numpy() - MEANS[None, :, None, None])
    mine = refined_probs(probs, photos, CRF, softmax=True, stride=12)
    np.testing.assert_allclose(mine.log(), found, rtol=0, atol=1e-3)
    textbook = refined_probs(probs, photos, CRF, softmax=False, stride=12)
    assert (textbook - mine).abs().max() > 0.1


@pytest.mark.parametrize("scale", [1.0, 4.0])
def test_growth(layers, scale):
    probs, photos, seeds, shown = floored_softmax(_logits(scale)), _photos(), _seeds(), _shown()
    layer = layers.DSRGLayer()
    layer.param_str = "{'th1': 0.99, 'th2': 0.85}"
    layers.yaml = SimpleNamespace(load=layers.yaml.safe_load)  # the newer one wants a loader
    labels = shown[:, None, None].double().numpy()
    found, *_ = run(layer, labels, probs, _one_hot(seeds), photos.numpy() - MEANS[None, :, None, None])
    refined = refined_probs(probs, photos, CRF, softmax=True, stride=12)
    mine = grown_seeds(seeds, refined, shown, GROWTH)
    np.testing.assert_array_equal(_one_hot(mine), found)
    assert (seeds == 255).sum() > (mine == 255).sum() > 0


def _grown():
    seeds = _seeds().long()
    seeds[1][seeds[1] > 0] = 255  # nothing in the foreground
    return seeds


def test_seeding_loss_and_its_gradient(layers):
    probs, labels = _probs().double().requires_grad_(), _grown()
    found, below, above = run(layer := layers.BalancedSeedLossLayer(), probs.detach(), _one_hot(labels))
    loss = seeding_loss(probs, labels)
    assert loss.item() == pytest.approx(found.item(), rel=1e-9)
    layer.backward(above, [True], below)
    loss.backward()
    np.testing.assert_allclose(probs.grad, below[0].diff, rtol=1e-9, atol=1e-12)


def test_boundary_loss_and_its_gradient_through_the_crf(layers):
    """Caffe adds the gradients of the loss's own probabilities and of those that the CRF was given."""
    probs, photos = _probs().double().requires_grad_(), _photos()
    _, given, refined = run(crf := layers.CRFLayer(), probs.detach(), photos.numpy() - MEANS[None, :, None, None])
    found, below, above = run(layer := layers.ConstrainLossLayer(), probs.detach(), refined[0].data)
    layer.backward(above, [True], below)
    refined[0].diff = below[1].diff
    crf.backward(refined, [True], given)
    loss = boundary_loss(probs, torch.from_numpy(refined[0].data).exp())
    loss.backward()
    assert loss.item() == pytest.approx(found.item(), rel=1e-9)
    np.testing.assert_allclose(probs.grad, below[0].diff + given[0].diff, rtol=1e-7, atol=1e-10)
    assert np.abs(given[0].diff).max() > 1e-6
