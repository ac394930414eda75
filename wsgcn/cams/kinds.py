"""Every kind of CAM source."""

from wsgcn.cams.classifier import Classifier
from wsgcn.cams.imported import Imported
from wsgcn.cams.seam import Seam
from wsgcn.cams.segmenter import Segmenter
from wsgcn.cams.sub_category import SubCategory
from wsgcn.cams.weighted_pooling import WeightedPooling

KINDS = (Classifier, SubCategory, Seam, Segmenter, Imported, WeightedPooling)
