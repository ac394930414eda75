"""Every kind of dataset."""

from wsgcn.dataset.demo import Demo
from wsgcn.dataset.voc import Voc

KINDS = (Demo, Voc)
