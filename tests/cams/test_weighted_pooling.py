"""The kind ``weighted-pooling``: its network and its masks, and a training by image-level labels."""

import numpy as np
import pytest
import torch

from tests import chain
from tests.cams.conftest import CLASSES, photo
from tests.conftest import changed
from wsgcn.cams.mask_net import MaskNet
from wsgcn.errors import UsageError
from wsgcn.ops.pooling import mask_scores, with_background_logit
from wsgcn.store.records import Cams, load_record

FOCAL = {"power": 3, "shift": 0.01}


def _params(tiny_params, **values):
    entry = tiny_params.model_dump(mode="json")["cams"]["irnet"]
    train = entry["train"] | {"focal": FOCAL} | values
    return changed(tiny_params, {"cams.irnet": {**entry, "kind": "weighted-pooling", "train": train}})


@pytest.fixture
def net(tiny_params):
    torch.manual_seed(0)
    return _params(tiny_params).cams["irnet"].network(CLASSES, pretrained=False).eval()


def test_scores_are_pooled_by_the_masks(net):
    x = torch.stack([photo(seed=1), photo(seed=2)])
    with torch.inference_mode():
        logits = with_background_logit(net.classifier(net.backbone(x)[-1]))
        assert torch.equal(net(x), mask_scores(logits, 3, 0.01))
        masks = net.activation_maps(x)
        torch.testing.assert_close(masks, logits.softmax(1)[:, 1:])
    assert isinstance(net, MaskNet)
    assert net(x).shape == (2, CLASSES - 1)


def test_its_numbers_arrive(tiny_params):
    source = _params(tiny_params, focal={"power": 2, "shift": 0.5}).cams["irnet"]
    net = source.network(CLASSES, pretrained=False)
    assert (net.focal_power, net.focal_shift) == (2, 0.5)
    with pytest.raises(UsageError, match=r"cams\.irnet\.train\.focal\.shift"):
        _params(tiny_params, focal={"power": 2, "shift": 0})


def test_it_trains_and_gives_maps(tiny_params, fresh):
    params = _params(tiny_params)
    for stage in ("cams-train", "cams"):
        chain.run_stage(stage, "I", params, fresh)
    record = load_record(fresh.arrays("cams", "I", "t2"), Cams)
    assert record.class_ids.tolist() == [1, 2]
    assert record.cams.max(axis=(1, 2)) == pytest.approx(np.ones(2))
    assert record.cams.min() > 0  # a softmax, where a classifier's CAMs are cut off at 0
