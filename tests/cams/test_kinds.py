"""The list of CAM sources."""

from typing import get_args

from tests.conftest import real_content
from wsgcn.cams.base import CamSource
from wsgcn.cams.kinds import KINDS


def test_kinds_have_words_of_their_own_and_one_base_class():
    words = [word for kind in KINDS for word in get_args(kind.model_fields["kind"].annotation)]
    assert len(words) == len(set(words)) == len(KINDS)
    assert all(issubclass(kind, CamSource) for kind in KINDS)
    assert {entry["kind"] for entry in real_content()["cams"].values()} <= set(words)
