"""The list of propagations, and what each declares of itself."""

from typing import get_args

from tests.conftest import real_content
from wsgcn.propagate.base import Propagation
from wsgcn.propagate.gcn import GcnPropagation
from wsgcn.propagate.kinds import KINDS
from wsgcn.propagate.random_walk import RandomWalk
from wsgcn.vocabulary import LOSS_NAMES


def test_kinds_have_words_of_their_own_and_one_base_class():
    words = [word for kind in KINDS for word in get_args(kind.model_fields["kind"].annotation)]
    assert len(words) == len(set(words)) == len(KINDS)
    assert all(issubclass(kind, Propagation) for kind in KINDS)
    assert {entry["kind"] for entry in real_content()["propagate"].values()} <= set(words)


def test_what_learns_says_so_and_the_baseline_needs_no_colours_and_no_seed():
    assert (GcnPropagation.losses, RandomWalk.losses) == (LOSS_NAMES, ())
    for name, gcn, random_walk in (
        ("partial_labels_used", True, False),
        ("baseline", False, True),
        ("reads_affinity", True, True),
        ("reads_photo", True, False),
        ("seeded", True, False),
    ):
        assert (getattr(GcnPropagation, name), getattr(RandomWalk, name)) == (gcn, random_walk), name
