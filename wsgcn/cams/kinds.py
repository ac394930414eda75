"""Every kind of CAM source."""

from wsgcn.cams.classifier import Classifier

KINDS = (Classifier,)
