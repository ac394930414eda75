"""Every kind of segmentation training."""

from wsgcn.segtrain.deeplab import DeepLab

KINDS = (DeepLab,)
