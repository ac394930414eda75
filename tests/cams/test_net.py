"""The classifier, whose last layer gives the maps."""

import torch

from tests.cams.conftest import CLASSES, photo
from wsgcn.cams.net import net_settings


def test_pooled_logits_are_the_mean_of_the_linear_maps(net):
    x = torch.stack([photo(seed=1), photo(seed=2)])
    with torch.inference_mode():
        linear = net.classifier(net.backbone(x)[-1])
        torch.testing.assert_close(net(x), linear.mean(dim=(2, 3)), rtol=1e-4, atol=1e-6)
        torch.testing.assert_close(net.activation_maps(x), linear.clamp(min=0))
    assert net(x).shape == (2, CLASSES - 1)


def test_settings_name_what_decides_the_structure(tiny_params):
    settings = net_settings(tiny_params.cams["psa"].train, CLASSES)
    assert settings == {"backbone": "resnet-small", "output_stride": 8, "classes": CLASSES}
