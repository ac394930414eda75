"""Every kind of segmentation training."""

from wsgcn.segtrain.deeplab import DeepLab
from wsgcn.segtrain.dsrg import Dsrg
from wsgcn.segtrain.rrm import Rrm
from wsgcn.segtrain.self_supervised import SelfSupervised

KINDS = (DeepLab, Dsrg, Rrm, SelfSupervised)
