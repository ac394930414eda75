"""Differences between the labels of two methods: which are taken, and what the report says of them."""

import re

import numpy as np
import pytest

from tests.report.cases import METHODS, WALK, label_scores, method, params, write_labels
from wsgcn.errors import DataError
from wsgcn.ops.iou import Interval, mean_iou, miou_difference
from wsgcn.report.differences import (
    Difference,
    difference_metrics,
    difference_sentences,
    difference_table,
    label_differences,
    points,
)
from wsgcn.report.findings import findings
from wsgcn.report.results import MethodResult
from wsgcn.report.stage import write_report
from wsgcn.store.counts import PhotographCounts, save_counts
from wsgcn.store.paths import Artifacts

IDS = tuple(f"t{number}" for number in range(20))
CLASSES = ("background", "cat")
GCN, IRNET = METHODS["WSGCN-I"], METHODS["IRNet"]


@pytest.fixture
def artifacts(tmp_path):
    return Artifacts(tmp_path / "artifacts")


def made(hits, spread=0.0):
    """Counts in which a share of the pixels of each class is found, more in some photographs than in others."""
    there = np.random.default_rng(0).integers(500, 1500, (len(IDS), len(CLASSES)))
    shares = hits + spread * np.random.default_rng(1).uniform(-1, 1, there.shape)
    return np.stack([there * shares, there, there], axis=2).astype(np.int32)


def write(artifacts, one, ids=IDS, classes=CLASSES, scores=None, **steps):
    write_labels(artifacts, one, scores, panels=())
    save_counts(artifacts.photographs(one.name), PhotographCounts(ids, classes, steps))


def taken(differences):
    return [(one.first, one.second, one.step) for one in differences]


# ---------------------------------------------------------------- which are taken


def test_methods_of_a_variant_are_compared_and_a_baseline_comes_second(artifacts):
    second_walk = method("walk-2", "I", WALK)
    steps = {"cam": made(0.4), "cam_best": made(0.5), "pseudo": made(0.6), "pseudo_crf": made(0.7)}
    write(artifacts, IRNET, **steps, pseudo_best=made(0.65))
    write(artifacts, second_walk, **steps)
    write(artifacts, GCN, **steps)
    write(artifacts, METHODS["PSA"], **steps)  # of another variant
    assert taken(label_differences((IRNET, second_walk, GCN, METHODS["PSA"]), artifacts, {})) == [
        ("WSGCN-I", "IRNet", "pseudo"),
        ("WSGCN-I", "IRNet", "pseudo_crf"),
        ("WSGCN-I", "IRNet", "pseudo_best"),
        ("WSGCN-I", "walk-2", "pseudo"),
        ("WSGCN-I", "walk-2", "pseudo_crf"),
        ("IRNet", "walk-2", "pseudo"),
        ("IRNet", "walk-2", "pseudo_crf"),
    ]


def test_a_later_round_is_compared_with_those_before_it(artifacts):
    later = method("WSGCN-I2", "I2", GCN.propagation, before=("I",))
    for one in (IRNET, GCN, later, METHODS["PSA"]):
        write(artifacts, one, pseudo=made(0.6))
    assert taken(label_differences((IRNET, GCN, METHODS["PSA"], later), artifacts, {})) == [
        ("WSGCN-I2", "WSGCN-I", "pseudo"),
        ("WSGCN-I2", "IRNet", "pseudo"),
        ("WSGCN-I", "IRNet", "pseudo"),
    ]


def test_differences_are_those_of_the_counts(artifacts):
    ours, base, best = made(0.7, 0.1), made(0.6), made(0.65)
    write(artifacts, GCN, pseudo=ours)
    write(artifacts, IRNET, pseudo=base, pseudo_best=best)
    (as_is, at_best) = label_differences((GCN, IRNET), artifacts, {})
    assert as_is.miou == miou_difference(ours, base)
    assert at_best.miou == miou_difference(ours, best)
    assert as_is.miou.value == mean_iou(ours.sum(axis=0)) - mean_iou(base.sum(axis=0))


@pytest.mark.parametrize("other", [{"ids": IDS[::-1]}, {"classes": ("background", "dog")}])
def test_other_photographs_or_classes_are_not_compared(artifacts, other):
    write(artifacts, GCN, pseudo=made(0.7))
    write(artifacts, IRNET, **other, pseudo=made(0.6))
    assert label_differences((GCN, IRNET), artifacts, {}) == []


def test_what_is_left_out_or_not_there_is_not_compared(artifacts):
    write(artifacts, GCN, pseudo=made(0.7))
    assert label_differences((GCN, IRNET), artifacts, {}) == []
    write(artifacts, IRNET, pseudo=made(0.6))
    assert label_differences((GCN, IRNET), artifacts, {"IRNet": ["evaluate-labels"]}) == []
    assert len(label_differences((GCN, IRNET), artifacts, {"IRNet": ["evaluate"]})) == 1
    artifacts.scores("evaluate-labels", "IRNet").unlink()  # a kill came between
    assert label_differences((GCN, IRNET), artifacts, {}) == []


def test_without_masks_there_are_none(artifacts):
    write(artifacts, GCN)
    write(artifacts, IRNET)
    assert label_differences((GCN, IRNET), artifacts, {}) == []


def test_broken_counts_are_named(artifacts):
    write(artifacts, GCN, pseudo=made(0.7))
    artifacts.photographs("WSGCN-I").write_bytes(b"no archive")
    with pytest.raises(DataError, match=re.escape(str(artifacts.photographs("WSGCN-I")))):
        write_report(params(GCN, IRNET), artifacts)


# ---------------------------------------------------------------- what is said of them

SURE, UNSURE, AT_BEST = Interval(0.0231, 0.0186, 0.0274), Interval(0.008, -0.001, 0.0161), Interval(-0.02, -0.03, -0.01)
ALL = [
    Difference("WSGCN-I", "IRNet", "pseudo", SURE),
    Difference("WSGCN-I", "IRNet", "pseudo_crf", UNSURE),
    Difference("WSGCN-I", "IRNet", "pseudo_best", AT_BEST),
    Difference("WSGCN-P", "PSA", "pseudo", UNSURE),
]


def test_a_sentence_says_whether_an_interval_excludes_nothing():
    assert difference_sentences(ALL) == [
        "mIoU of WSGCN-I's labels less IRNet's, in points with 95 % intervals over photographs: "
        "before the CRF +2.3 (+1.9 to +2.7), which excludes 0; "
        "after the CRF +0.8 (-0.1 to +1.6), which includes 0; "
        "before the CRF, IRNet at its best threshold -2.0 (-3.0 to -1.0), which excludes 0.",
        "mIoU of WSGCN-P's labels less PSA's, in points with 95 % intervals over photographs: "
        "before the CRF +0.8 (-0.1 to +1.6), which includes 0.",
    ]


def test_the_page_says_in_a_word_where_an_interval_includes_nothing():
    ours = MethodResult(GCN, label_scores(GCN, 0.7))
    base = MethodResult(IRNET, label_scores(IRNET, 0.6))
    (said,) = [one for one in findings([ours, base], (), ALL) if "against" in one]
    assert said == (
        "WSGCN-I against IRNet, by mIoU: pseudo labels 10.0 points above before the CRF, "
        "10.0 points above after the CRF (interval includes 0)."
    )


def test_the_table_has_a_row_for_each_pair_and_one_for_the_best_threshold():
    results = [MethodResult(IRNET, label_scores(IRNET) | {"best_background": 0.35})]
    table = difference_table(ALL, results)
    assert [[cell.text for cell in row] for row in table.rows] == [
        ["WSGCN-I − IRNet", "+2.3", "+1.9 to +2.7", "+0.8", "-0.1 to +1.6"],
        ["WSGCN-I − IRNet at its best threshold, 0.35", "-2.0", "-3.0 to -1.0", "–", "–"],
        ["WSGCN-P − PSA", "+0.8", "-0.1 to +1.6", "–", "–"],
    ]
    assert [[cell.best for cell in row[1:4:2]] for row in table.rows] == [[True, False], [True, False], [False, False]]
    assert difference_table([], results) is None


def test_points_have_a_sign():
    assert [points(value) for value in (0.0231, -0.0109, 0.0004, -0.0004)] == ["+2.3", "-1.1", "+0.0", "+0.0"]


def test_mlflow_gets_those_that_a_method_comes_first_in():
    assert difference_metrics(ALL, "WSGCN-I") == {
        "pseudo_miou_minus_IRNet": 0.0231,
        "pseudo_miou_minus_IRNet_low": 0.0186,
        "pseudo_miou_minus_IRNet_high": 0.0274,
        "pseudo_miou_crf_minus_IRNet": 0.008,
        "pseudo_miou_crf_minus_IRNet_low": -0.001,
        "pseudo_miou_crf_minus_IRNet_high": 0.0161,
        "pseudo_miou_minus_IRNet_best": -0.02,
        "pseudo_miou_minus_IRNet_best_low": -0.03,
        "pseudo_miou_minus_IRNet_best_high": -0.01,
    }
    assert difference_metrics(ALL, "IRNet") == {}


def test_both_pages_show_differences_and_best_thresholds(artifacts):
    known = {"cam_miou_best": 0.52, "cam_best_background": 0.45}
    write(artifacts, GCN, scores=label_scores(GCN, 0.7) | known, pseudo=made(0.7), pseudo_crf=made(0.7))
    best = {"pseudo_miou_best": 0.63, "best_background": 0.35}
    base = label_scores(IRNET, 0.6) | known | best
    write(artifacts, IRNET, scores=base, pseudo=made(0.6), pseudo_crf=made(0.6), pseudo_best=made(0.65))
    write_report(params(GCN, IRNET), artifacts)
    page, text = (artifacts.root / "report" / name for name in ("index.html", "report.md"))
    for shown in (page.read_text(), text.read_text()):
        assert "WSGCN-I − IRNet at its best threshold, 0.35" in shown
        assert "WSGCN-I against IRNet, by mIoU: pseudo labels 10.0 points above" in shown
    assert "| IRNet | 60.0 | 52.0 | 0.45 | 60.0 | 63.0 | 0.35 |" in text.read_text()
    assert "| WSGCN-I | 70.0 | 52.0 | 0.45 | 70.0 | – | – |" in text.read_text()
    found = label_differences((GCN, IRNET), artifacts, {})[0].miou
    assert f"**{100 * found.value:+.1f}**" in text.read_text()


def test_pages_without_counts_have_no_such_tables(artifacts):
    write_labels(artifacts, GCN)
    write_labels(artifacts, IRNET)
    write_report(params(GCN, IRNET), artifacts)
    text = (artifacts.root / "report" / "report.md").read_text()
    assert "## Differences" not in text
    assert "## Best thresholds" not in text
