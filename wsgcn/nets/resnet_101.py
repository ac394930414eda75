"""ResNet-101 with torchvision's parameter names.

Source: He et al., "Deep Residual Learning" (CVPR 2016); weights of torchvision (``resnet101-….pth``).
"""

from __future__ import annotations

from wsgcn.nets.published import without_classifier
from wsgcn.nets.resnet import ResNet


class ResNet101(ResNet):
    """Later stages dilate instead of striding, so that each cell sees what it saw at stride 32."""

    name = "resnet-101"
    blocks = (3, 4, 23, 3)
    importers = {"resnet-101": without_classifier}  # noqa: RUF012 - a constant of the architecture
