"""Shards: every image is in exactly one of them, and what is no shard is refused."""

import re

import pytest

from wsgcn.errors import UsageError
from wsgcn.runtime.shard import Shard, parse_shard


@pytest.mark.parametrize("count", [1, 3, 16, 40])
def test_every_image_is_in_one_shard_and_shards_are_of_one_size(count):
    images = list(range(37))
    parts = [Shard(number, count).part(images) for number in range(1, count + 1)]
    assert sorted(one for part in parts for one in part) == images
    assert max(map(len, parts)) - min(map(len, parts)) <= 1


def test_a_shard_reads_as_it_is_written():
    assert parse_shard("3/16") == Shard(3, 16)
    assert str(Shard(3, 16)) == "3/16"


@pytest.mark.parametrize("text", ["0/4", "5/4", "-1/4", "3", "3/", "/4", "3/4/5", "a/b", "0/0", "²/4", "1/" + "9" * 40])
def test_what_is_no_shard_is_one_line(text):
    with pytest.raises(UsageError, match=re.escape(f"--shard {text}: give a part")):
        parse_shard(text)
