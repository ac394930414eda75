"""IRNet's ResNet-50, which strides less without dilating.

Source: jiwoon-ahn/irn, ``net/resnet50.py``. It takes torchvision's weights of ``resnet-50``, whose parameter names it
has; IRNet's own files hold whole networks (:mod:`wsgcn.weights.irnet`).
"""

from __future__ import annotations

from wsgcn.nets.resnet import ResNet


class IrnetResNet50(ResNet):
    """At output stride 16 the last stage neither strides nor dilates."""

    name = "resnet-50-irnet"
    blocks = (3, 4, 6, 3)
    dilate = False
