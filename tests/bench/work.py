"""Stands for what is measured; in a file that imports little, since the process that is measured reads it first."""

import os
from functools import partial

import numpy as np

from wsgcn.errors import StageError


def allocate(megabytes):
    """Give a call that fills so much memory."""
    return partial(np.ones, megabytes * 125_000)


def die():
    """End as a process does that the system kills."""
    os._exit(9)


def miss():
    """Say what a stage says whose input is not there."""
    raise StageError("propagate", {"a": "a.npz is missing"}, 1)
