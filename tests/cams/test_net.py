"""The classifier, whose last layer gives the maps."""

import pytest
import torch

from tests.cams.conftest import CLASSES, photo
from tests.conftest import changed
from wsgcn.cams.net import build_cam_net


def test_pooled_logits_are_the_mean_of_the_linear_maps(net):
    x = torch.stack([photo(seed=1), photo(seed=2)])
    with torch.inference_mode():
        linear = net.classifier(net.backbone(x)[-1])
        torch.testing.assert_close(net(x), linear.mean(dim=(2, 3)), rtol=1e-4, atol=1e-6)
        torch.testing.assert_close(net.activation_maps(x), linear.clamp(min=0))
    assert net(x).shape == (2, CLASSES - 1)


def test_settings_name_what_decides_the_structure(tiny_params):
    settings = tiny_params.cams["psa"].settings(CLASSES)
    assert settings == {"backbone": "resnet-small", "output_stride": 8, "classes": CLASSES}


@pytest.mark.parametrize(
    ("head_init", "limit", "spread"),
    [("pytorch", (1 / 128) ** 0.5, (1 / 3 / 128) ** 0.5), ("normal", 1, 0.01), ("xavier", 0.2, 0.2 / 3**0.5)],
)
def test_new_classifier(tiny_params, head_init, limit, spread):
    """Of 128 features and 22 classes, Xavier's limit is √(6 / 150) = 0.2."""
    torch.manual_seed(0)
    params = changed(tiny_params, {"cams.irnet.train.head_init": head_init}).cams["irnet"].train
    weight = build_cam_net(params, 23, pretrained=False).classifier.weight.detach()
    assert weight.shape == (22, 128, 1, 1)
    assert weight.std() == pytest.approx(spread, rel=0.05)
    assert weight.abs().max() <= limit
