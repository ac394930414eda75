"""Every kind of segmentation training."""

from wsgcn.segtrain.deeplab import DeepLab
from wsgcn.segtrain.rrm import Rrm

KINDS = (DeepLab, Rrm)
