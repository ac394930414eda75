"""The ResNet-101 of the networks that the paper starts from ImageNet, which is torchvision's, dilated otherwise.

Source: johnnylu305/deeplab-imagenet-pytorch, ``libs/models/deeplabv2.py``. It takes torchvision's weights of
``resnet-101``, whose parameter names it has.
"""

from __future__ import annotations

from wsgcn.nets.resnet import ResNet


class ImagenetResNet101(ResNet):
    """The first block of a stage that dilates instead of striding does not dilate."""

    name = "resnet-101-imagenet"
    blocks = (3, 4, 23, 3)
    dilate_first = False
