"""Every kind of CAM source."""

from wsgcn.cams.classifier import Classifier
from wsgcn.cams.imported import Imported
from wsgcn.cams.seam import Seam
from wsgcn.cams.segmenter import Segmenter

KINDS = (Classifier, Seam, Segmenter, Imported)
