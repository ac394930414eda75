"""A narrow ResNet of one block a stage, for tests and a first try: no weights are published for it."""

from __future__ import annotations

from wsgcn.nets.resnet import BasicBlock, ResNet


class ResNetSmall(ResNet):
    """0.7 million parameters, initialised at random."""

    name = "resnet-small"
    block = BasicBlock
    blocks = (1, 1, 1, 1)
    width = 24
