"""Every kind of CAM source."""

from wsgcn.cams.classifier import Classifier
from wsgcn.cams.co_attention import CoAttention
from wsgcn.cams.group_graph import GroupGraph
from wsgcn.cams.imported import Imported
from wsgcn.cams.seam import Seam
from wsgcn.cams.segmenter import Segmenter
from wsgcn.cams.sub_category import SubCategory
from wsgcn.cams.weighted_pooling import WeightedPooling

KINDS = (Classifier, SubCategory, CoAttention, GroupGraph, Seam, WeightedPooling, Segmenter, Imported)
