"""The list of affinities."""

from typing import get_args

from tests.conftest import real_content
from wsgcn.affinity.base import AffinityKind
from wsgcn.affinity.kinds import KINDS


def test_kinds_have_words_of_their_own_and_one_base_class():
    words = [word for kind in KINDS for word in get_args(kind.model_fields["kind"].annotation)]
    assert len(words) == len(set(words)) == len(KINDS)
    assert all(issubclass(kind, AffinityKind) for kind in KINDS)
    assert {entry["kind"] for entry in real_content()["affinity"].values()} <= set(words)
