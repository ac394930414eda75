"""A narrow ResNet of one block a stage, for tests and the demo; its weights come from ``dataset/pretrain.py``."""

from __future__ import annotations

from wsgcn.nets.resnet import BasicBlock, ResNet


class ResNetSmall(ResNet):
    """0.3 million parameters."""

    name = "resnet-small"
    block = BasicBlock
    blocks = (1, 1, 1, 1)
    pixel_bytes = 70
    width = 16
