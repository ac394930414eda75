"""Every kind of propagation."""

from wsgcn.propagate.gcn import GcnPropagation
from wsgcn.propagate.pamr import Pamr
from wsgcn.propagate.random_walk import RandomWalk
from wsgcn.propagate.seeded_region_growing import SeededRegionGrowing

KINDS = (GcnPropagation, RandomWalk, SeededRegionGrowing, Pamr)
