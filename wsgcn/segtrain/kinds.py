"""Every kind of segmentation training."""

from wsgcn.segtrain.deeplab import DeepLab
from wsgcn.segtrain.rrm import Rrm
from wsgcn.segtrain.self_supervised import SelfSupervised

KINDS = (DeepLab, Rrm, SelfSupervised)
