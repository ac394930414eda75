"""Every kind of affinity."""

from wsgcn.affinity.affinitynet import FeatureAffinity
from wsgcn.affinity.boundary import Boundary

KINDS = (Boundary, FeatureAffinity)
