"""Sizes of the backbones, for the tests of this folder."""

from tests.nets.sizes import sizes, tiny

__all__ = ["sizes", "tiny"]
