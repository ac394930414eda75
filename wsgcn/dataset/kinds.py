"""Every kind of dataset."""

from wsgcn.dataset.demo import Demo
from wsgcn.dataset.tagged import Tagged
from wsgcn.dataset.voc import Voc

KINDS = (Demo, Tagged, Voc)
