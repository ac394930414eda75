"""Every kind of propagation."""

from wsgcn.propagate.gcn import GcnPropagation
from wsgcn.propagate.pamr import Pamr
from wsgcn.propagate.random_walk import RandomWalk

KINDS = (GcnPropagation, RandomWalk, Pamr)
