"""The photographs that choose settings and those that confirm the choice, as the script splits them and as stored."""

from __future__ import annotations

import pytest

from tests import lists
from tests.conftest import ROOT

STORED = {name: (ROOT / "tests" / "ids" / f"{name}.txt").read_text().splitlines() for name in ("choose", "confirm")}
TRAIN = ["1999_000001", "2007_000033", "2999_000001"]
"""Stands for the photographs that are scored; where they are among the others changes nothing."""


@pytest.fixture
def made(tmp_path):
    """The lists that the script makes of a devkit with the stored photographs, by name."""
    devkit, copy = tmp_path / "VOC2012", tmp_path / "copy"
    (devkit / lists.LISTS).mkdir(parents=True)
    (devkit / "JPEGImages").mkdir()
    trainaug = [*TRAIN, *STORED["confirm"], *STORED["choose"]]
    for name, ids in (("trainaug", trainaug), ("train", TRAIN), ("val", ["2008_000002"])):
        (devkit / lists.LISTS / f"{name}.txt").write_text("".join(f"{one}\n" for one in ids))
    lists.main(devkit, copy)
    assert (copy / "JPEGImages").is_symlink()
    return {path.stem: path.read_text() for path in (copy / lists.LISTS).iterdir()}


def test_the_stored_lists_are_what_the_script_makes(made):
    for name in STORED:
        assert made[name] == (ROOT / "tests" / "ids" / f"{name}.txt").read_text()


def test_no_photograph_is_in_both_halves():
    assert not {*STORED["choose"]} & {*STORED["confirm"]}
    for ids in STORED.values():
        assert len(ids) == len({*ids}) == 360
        assert ids == sorted(ids)


def test_what_teaches_networks_scores_none(made):
    ids = {name: made[name].split() for name in made}
    for half in ("choose", "confirm"):
        assert len(ids[f"fit-{half}"]) == 180
        assert {*ids[f"fit-{half}"]} < {*ids[half]}
    taught = {*ids["fit-choose"]}, {*ids["fit-confirm"]}, {*ids["fit"]}
    assert set.union(*taught) == {*ids["trainaug"]}
    assert sum(map(len, taught)) == len(ids["trainaug"])
    assert {*ids["train"]} < {*ids["fit"]}


def test_of_every_four_two_choose_and_two_confirm():
    found = lists.split([f"{one:02}" for one in range(11)], ["02"])
    assert found == {
        "choose": ["00", "01", "05", "06", "09", "10"],
        "confirm": ["03", "04", "07", "08"],
        "fit-choose": ["00", "05", "09"],
        "fit-confirm": ["03", "07"],
        "fit": ["01", "02", "04", "06", "08", "10"],
    }


def test_the_other_lists_are_copied(made):
    assert made["val"] == "2008_000002\n"
    assert made["train"].split() == TRAIN
