"""Which photographs the report shows: from counts of pixels where there is ground truth, from label maps where not."""

import base64
import io

import numpy as np
import pytest
from PIL import Image

from tests.report.cases import (
    EVIL,
    GCN,
    METHODS,
    method,
    params,
    write_counts,
    write_label_maps,
    write_labels,
    write_photographs,
)
from wsgcn.errors import DataError
from wsgcn.report.differences import Counted
from wsgcn.report.photographs import (
    agreement_table,
    choose_photographs,
    label_disagreement,
    photograph_ious,
    photograph_table,
)
from wsgcn.report.pictures import Tiles, draw_tiles
from wsgcn.report.stage import write_report
from wsgcn.store.counts import PhotographCounts
from wsgcn.store.index import load_index
from wsgcn.store.paths import Artifacts

OURS, BASE = METHODS["WSGCN-I"], METHODS["IRNet"]
IDS = tuple("abcdefgh")


@pytest.fixture
def artifacts(tmp_path):
    return Artifacts(tmp_path / "artifacts")


def no_tiles(image_id, names):
    return Tiles([], [])


def hits(*found):
    """Counts of photographs of one class of 100 pixels, all predicted as many: IoU is found / (200 - found)."""
    return np.array([[[one, 100, 100]] for one in found], dtype=np.int32)


def counted(one, counts=None, ids=IDS):
    steps = {} if counts is None else {"pseudo_crf": counts}
    return Counted(one, PhotographCounts(tuple(ids[: len(counts)]) if counts is not None else ids, ("cat",), steps))


def chosen(groups):
    return {
        (group.title, choice.title): [shot.image_id for shot in choice.shots]
        for group in groups
        for choice in group.choices
    }


# ---------------------------------------------------------------- with ground truth


def test_the_score_of_a_photograph_is_the_mean_over_its_classes():
    counts = np.array([[[50, 100, 50], [10, 10, 40]], [[0, 0, 0], [30, 60, 30]], [[0, 0, 0], [0, 0, 0]]], np.int32)
    one = Counted(OURS, PhotographCounts(("a", "b", "c"), ("background", "cat"), {"pseudo_crf": counts}))
    assert photograph_ious(one) == {"a": (0.5 + 0.25) / 2, "b": 0.5}, "c shows nothing that is scored"
    assert photograph_ious(counted(OURS)) == {}


def test_the_furthest_ahead_and_behind_and_the_best_and_worst_are_chosen():
    ours = counted(OURS, hits(90, 80, 70, 60, 50, 40, 30, 20))
    base = counted(BASE, hits(90, 20, 20, 20, 49, 90, 80, 70))
    assert chosen(choose_photographs([ours, base], {}, no_tiles)) == {
        ("WSGCN-I and IRNet, furthest apart", "WSGCN-I ahead"): ["b", "c", "d"],
        ("WSGCN-I and IRNet, furthest apart", "WSGCN-I behind"): ["f", "g", "h"],
        ("WSGCN-I, best and worst", "best"): ["a", "b", "c"],
        ("WSGCN-I, best and worst", "worst"): ["h", "g", "f"],
        ("IRNet, best and worst", "best"): ["a", "f", "g"],
        ("IRNet, best and worst", "worst"): ["d", "c", "b"],
    }


def test_no_photograph_is_both_ahead_and_behind_or_both_best_and_worst():
    ours, base = counted(OURS, hits(90, 50, 50, 50)), counted(BASE, hits(80, 50, 50, 50))
    found = chosen(choose_photographs([ours, base], {}, no_tiles))
    assert found["WSGCN-I and IRNet, furthest apart", "WSGCN-I ahead"] == ["a"]
    assert ("WSGCN-I and IRNet, furthest apart", "WSGCN-I behind") not in found
    assert found["WSGCN-I, best and worst", "best"] == ["a", "b", "c"]
    assert found["WSGCN-I, best and worst", "worst"] == ["d"]


def test_the_captions_say_by_how_much():
    groups = choose_photographs([counted(OURS, hits(100)), counted(BASE, hits(50))], {}, no_tiles)
    (shot,) = groups[0].choices[0].shots
    assert shot.said == "+66.7 points"
    assert shot.captions == ["photograph", "WSGCN-I 100.0", "IRNet 33.3"]
    assert [cell.text for cell in photograph_table(groups).rows[0]] == [
        "WSGCN-I and IRNet, furthest apart: WSGCN-I ahead",
        "a",
        "+66.7 points; WSGCN-I 100.0; IRNet 33.3",
    ]


def test_a_round_is_shown_beside_the_one_right_before_it():
    rounds = [method(f"GCN-{last}", f"I{last}", GCN, before=("I", "I2", "I3")[: last - 1]) for last in (3, 2)]
    methods = enumerate((*rounds, OURS, BASE, METHODS["PSA"]))
    all_of_them = [counted(one, hits(*range(10 + number, 90 + number, 10))) for number, one in methods]
    pairs = [group.title for group in choose_photographs(all_of_them, {}, no_tiles) if "apart" in group.title]
    assert [one.removesuffix(", furthest apart") for one in pairs] == [
        "GCN-3 and GCN-2",
        "GCN-2 and WSGCN-I",
        "WSGCN-I and IRNet",
    ]


# ---------------------------------------------------------------- without ground truth


def test_without_ground_truth_labels_are_compared_pixel_by_pixel(artifacts):
    there = [np.zeros((2, 4)), np.ones((2, 4)), np.full((2, 4), 255)]
    other = [np.zeros((2, 4)), [[1, 1, 1, 1], [0, 0, 1, 1]], [[255, 255, 255, 0], [0, 0, 0, 0]]]
    write_label_maps(artifacts, OURS, IDS, there)
    write_label_maps(artifacts, BASE, IDS, other)
    both = [counted(OURS, ids=IDS[:3]), counted(BASE, ids=IDS[:3])]
    different = label_disagreement(both, artifacts)
    assert different == {("WSGCN-I", "IRNet"): {"a": (0, 8), "b": (2, 8), "c": (5, 8)}}
    groups = choose_photographs(both, different, no_tiles)
    assert chosen(groups) == {("WSGCN-I and IRNet, furthest apart", "most different"): ["c", "b"]}
    assert groups[0].choices[0].shots[0].said == "62.5 % of the pixels"
    assert groups[0].choices[0].shots[0].captions == ["photograph", "WSGCN-I", "IRNet"]
    table = agreement_table(["IRNet", "WSGCN-I", "not made"], different)
    assert table.columns == ("Method", "IRNet", "WSGCN-I")
    assert [[cell.text for cell in row] for row in table.rows] == [["IRNet", "–", "70.8"], ["WSGCN-I", "70.8", "–"]]


def test_one_method_agrees_with_nobody(artifacts):
    write_label_maps(artifacts, OURS, IDS, [np.zeros((2, 4))])
    different = label_disagreement([counted(OURS)], artifacts)
    assert agreement_table(["WSGCN-I"], different) is None
    assert choose_photographs([counted(OURS)], different, no_tiles) == []
    assert photograph_table([]) is None


def test_labels_of_different_sizes_are_named(artifacts):
    write_label_maps(artifacts, OURS, IDS, [np.zeros((2, 4))])
    write_label_maps(artifacts, BASE, IDS, [np.zeros((4, 2))])
    with pytest.raises(DataError, match="labels of a have different sizes in WSGCN-I and IRNet"):
        label_disagreement([counted(OURS), counted(BASE)], artifacts)


# ---------------------------------------------------------------- pictures


def decoded(picture):
    return Image.open(io.BytesIO(base64.b64decode(picture.uri.partition("base64,")[2])))


def test_tiles_are_the_photograph_and_the_labels_over_it(artifacts):
    write_photographs(artifacts, ["a"], size=(30, 40))
    write_label_maps(artifacts, OURS, ["a"], [np.repeat([[0, 1]], 20, axis=1).repeat(30, axis=0)])
    tiles = draw_tiles(artifacts, load_index(artifacts.index), "a", ["WSGCN-I"])
    assert tiles.legend == [(0, "background"), (1, EVIL)]
    photo, labels = (np.asarray(decoded(one)).astype(int) for one in tiles.pictures)
    assert photo.shape == labels.shape == (30, 40, 3)
    assert photo.min() > 245
    assert labels[15, 8].max() < 140, "background is dark"
    red, green, blue = labels[15, 32]
    assert red > green + 40, "class 1 is red in VOC's palette"
    assert abs(green - blue) < 12


def test_large_photographs_become_small_tiles(artifacts):
    write_photographs(artifacts, ["a"], size=(1260, 840))
    write_label_maps(artifacts, OURS, ["a"], [np.zeros((1260, 840))])
    tiles = draw_tiles(artifacts, load_index(artifacts.index), "a", ["WSGCN-I"])
    assert [one.size for one in tiles.pictures] == [(280, 420)] * 2


def test_labels_that_do_not_fit_their_photograph_are_named(artifacts):
    write_photographs(artifacts, ["a"])
    write_label_maps(artifacts, OURS, ["a"], [np.zeros((8, 6))])
    with pytest.raises(DataError, match=r"WSGCN-I/a.png .*6 x 8 pixels, but its photograph is 8 x 6"):
        draw_tiles(artifacts, load_index(artifacts.index), "a", ["WSGCN-I"])
    with pytest.raises(DataError, match="does not know z"):
        draw_tiles(artifacts, load_index(artifacts.index), "z", ["WSGCN-I"])


# ---------------------------------------------------------------- on the page


def report(artifacts, *methods):
    write_report(params(*methods), artifacts)
    return [(artifacts.root / "report" / name).read_text() for name in ("index.html", "report.md")]


def test_both_pages_show_them(artifacts):
    write_photographs(artifacts, IDS[:2])
    for one, found in ((OURS, hits(90, 10)), (BASE, hits(10, 90))):
        write_labels(artifacts, one, panels=("a",))
        write_counts(artifacts, one, IDS[:2], ["background"], pseudo_crf=found)
        write_label_maps(artifacts, one, IDS[:2], [np.zeros((6, 8))] * 2)
    html, markdown = report(artifacts, OURS, BASE)
    assert html.count("<img") == 2 + 2 * 3 + 2 * 2 * 2  # panels, two photographs of the pair, two of each method
    assert "<figcaption>WSGCN-I 81.8</figcaption>" in html
    assert 'a <small>+76.6 points <a href="#panel-a">all steps</a></small>' in html
    assert "b <small>-76.6 points</small>" in html, "evaluate drew no panel of it"
    assert (
        "| WSGCN-I and IRNet, furthest apart: WSGCN-I behind | b | -76.6 points; WSGCN-I 5.3; IRNet 81.8 |" in markdown
    )
    assert "## Agreement" not in markdown
    assert "mIoU of the photograph in percent" in html


def test_a_photograph_that_is_gone_costs_its_picture_alone(artifacts):
    write_photographs(artifacts, IDS[:2])
    write_labels(artifacts, OURS, panels=())
    write_counts(artifacts, OURS, IDS[:2], ["background"], pseudo_crf=hits(90, 10))
    write_label_maps(artifacts, OURS, IDS[:1], [np.zeros((6, 8))])
    html, _ = report(artifacts, OURS)
    assert html.count("<img") == 2
    assert "WSGCN-I 5.3: no picture, for" in html
    assert "crf/WSGCN-I/b.png is missing" in html


def test_without_masks_there_are_the_most_different_and_a_table(artifacts):
    write_photographs(artifacts, IDS[:2])
    for one, label in ((OURS, 0), (BASE, 1)):
        write_labels(artifacts, one, {"images": 2, "classes": []}, panels=())
        write_counts(artifacts, one, IDS[:2], [])
        write_label_maps(artifacts, one, IDS[:2], [np.zeros((6, 8)), np.full((6, 8), label)])
    html, markdown = report(artifacts, OURS, BASE)
    assert html.count("<img") == 3
    assert "b <small>100.0 % of the pixels</small>" in html
    assert "| WSGCN-I | – | 50.0 |" in markdown
    assert '<section id="agreement">' in html
    assert "pixels to which the two methods give different labels" in html
    assert "mIoU of the photograph" not in html
    assert '<section id="differences">' not in html
