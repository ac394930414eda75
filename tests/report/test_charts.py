"""The charts: from small known numbers, with names that are no markup."""

import math
import re

import pytest

from tests.report.cases import (
    EVIL,
    LOSSES,
    METHODS,
    Balanced,
    params,
    result,
    write_both,
    write_labels,
)
from wsgcn.errors import DataError
from wsgcn.report.charts import (
    BOTTOM,
    LEFT,
    RIGHT,
    TOP,
    Line,
    Series,
    bar_chart,
    confusion_table,
    histogram,
    line_chart,
)
from wsgcn.report.figures import class_bars, confusions, loss_curves, loss_histograms
from wsgcn.report.results import MethodResult
from wsgcn.report.stage import write_report
from wsgcn.store.files import write_table
from wsgcn.store.paths import Artifacts


@pytest.fixture
def artifacts(tmp_path):
    return Artifacts(tmp_path / "artifacts")


def changed(name, **fields):
    one = result(name)
    return MethodResult(one.method, one.metrics, **fields)


def points(chart):
    """Of each line of a chart, its corners."""
    lines = re.findall(r'points="([^"]*)"', chart)
    return [[tuple(map(float, point.split(","))) for point in line.split()] for line in lines]


# ---------------------------------------------------------------- bars


def test_bars_are_as_long_as_their_values():
    chart = bar_chart("T", ["cat", EVIL], [Series("A", 0, [0.5, None]), Series(EVIL, 9, [1.0, 0.25])])
    assert re.findall(r'class="(c\d)" style="width:([\d.]+)%"', chart) == [
        ("c0", "50.0"),
        ("c1", "100.0"),
        ("c1", "25.0"),
    ]
    assert EVIL in Balanced(chart).texts
    assert "<b>" not in chart


def test_bars_have_the_mean_last_and_methods_without_scores_have_none():
    scored, not_scored = result("PSA", 0.25), MethodResult(METHODS["IRNet"], {"images": 3})
    chart = class_bars([not_scored, scored])
    rows = re.findall(r"<span>([^<]*)</span><div><i", chart)
    assert rows[-1] == "mean"
    assert len(rows) == 2 * 3
    assert "IRNet" not in chart
    assert set(re.findall(r'class="(c\d)" style="width', chart)) == {"c1"}, (
        "its colour is the one that it has elsewhere"
    )
    assert class_bars([not_scored]) == ""


# ---------------------------------------------------------------- confusion matrices


def test_a_confusion_is_shaded_by_its_share():
    table = confusion_table({EVIL: {"dog": 0.25, EVIL: 0.746}}, ["dog", EVIL, "cow"])
    assert re.findall(r"/([\d.]+)\)\">(\d+)</td>", table) == [("0.15", "25"), ("0.45", "75"), ("0.00", "0")]
    assert Balanced(table).texts.count(EVIL) == 2


def test_confusions_of_a_stage_have_the_same_columns():
    few = {"cat": {"background": 0.1, "cat": 0.9, "cow": 0.004, "sofa": 0.0, "unlabelled": 0.0}}
    more = {"cat": {"background": 0.1, "cat": 0.8, "cow": 0.004, "sofa": 0.1, "unlabelled": 0.0}}
    network = {"cat": {"background": 0.0, "cat": 1.0}}
    ours = changed("WSGCN-I", confusions={"evaluate-labels": few, "evaluate": network})
    base = changed("IRNet", confusions={"evaluate-labels": more, "evaluate": {}})
    tables = confusions([ours, base])
    assert [title for title, _ in tables] == [
        "WSGCN-I, pseudo labels",
        "IRNet, pseudo labels",
        "WSGCN-I, segmentation network",
    ]
    heads = [re.findall(r"<th scope=\"col\"><span>(\w+)<", table) for _, table in tables]
    assert heads == [["background", "cat", "sofa"]] * 2 + [["cat"]]


# ---------------------------------------------------------------- curves


def test_a_curve_goes_through_its_points():
    chart = line_chart("T", [Line(EVIL, 2, [(0, 2.0), (5, 1.0), (10, 0.0)]), Line("empty", 3, [])])
    ((first, middle, last),) = points(chart)
    assert first == (LEFT, TOP)
    assert middle == ((LEFT + RIGHT) / 2, (TOP + BOTTOM) / 2)
    assert last == (RIGHT, BOTTOM)
    assert "update 10" in chart
    assert 'class="l2"' in chart
    assert "empty" not in chart
    assert EVIL in Balanced(chart).texts


def test_long_curves_are_means_and_what_is_no_number_is_left_out():
    curve = [(step, step % 2) for step in range(600)]
    (line,) = points(line_chart("T", [Line("A", 0, curve)]))
    assert len(line) == 60
    assert {y for _, y in line} == {TOP}, "every mean of ten is 0.5, the largest value there is"
    assert len(points(line_chart("T", [Line("A", 0, [(0, 1.0), (1, math.nan), (2, 1.0)])]))[0]) == 2
    assert line_chart("T", [Line("A", 0, [(0, math.nan)])]) == ""
    assert line_chart("T", []) == ""


def test_a_network_that_methods_share_has_one_curve():
    curves = {"cams-train": [(0, 1.0), (1, 0.5)], "segtrain": [(0, 1.0)]}
    chart = loss_curves([changed("WSGCN-I", curves=curves), changed("IRNet", curves=curves)])
    captions = re.findall(r"<figcaption>(.*?)</figcaption>(.*?)<svg", chart)
    assert [title for title, _ in captions] == [
        "cams-train: loss of the classifier",
        "segtrain: loss of the segmentation network",
    ]
    assert [re.findall(r"</i>([^<]*)<", legend) for _, legend in captions] == [["I"], ["WSGCN-I", "IRNet"]]
    assert loss_curves([result("PSA")]) == ""


# ---------------------------------------------------------------- histograms


def test_a_histogram_counts_and_shows_the_mean():
    chart = histogram(EVIL, [0.0, 0.1, 3.0, 9.1], 1, end=3.0)
    bars = [
        (float(x), float(height))
        for x, height in re.findall(r'<rect class="c1" x="([\d.]+)".*?height="([\d.]+)"', chart)
    ]
    width = (RIGHT - LEFT) / 30
    assert [x for x, _ in bars] == [LEFT, LEFT + width, round(LEFT + 29 * width, 1)]
    assert [height for _, height in bars] == [77.0, 77.0, 154.0], "the largest are in the last one"
    assert "mean 3.05" in chart
    assert EVIL in Balanced(chart).texts


def test_each_method_that_learns_has_a_histogram_of_its_first_loss():
    losses = {"total": [*[0.5] * 99, 50.0], "fg": [7.0] * 100}
    chart = loss_histograms([result("IRNet"), changed("WSGCN-I", losses=losses)])
    assert re.findall(r"<figcaption>(.*?)</figcaption>", chart) == ["WSGCN-I: total loss of 100 photographs"]
    assert ">0.5</text>" in chart, "one large loss does not squeeze the others"
    assert "mean 0.995" in chart
    assert loss_histograms([result("IRNet")]) == ""
    Balanced(loss_histograms([changed("WSGCN-I", losses={"total": [0.0]})]))


# ---------------------------------------------------------------- on the page


def test_the_page_has_them_all(artifacts):
    for name in ("WSGCN-I", "IRNet"):
        write_both(artifacts, METHODS[name])
        confusion = [("background", "background", 1.0), (EVIL, EVIL, 0.625), (EVIL, "background", 0.375)]
        for stage in ("evaluate-labels", "evaluate"):
            write_table(artifacts.confusion(stage, name), ("actual", "predicted", "share"), confusion)
        write_table(artifacts.history("segtrain", name), ("step", "loss", "lr"), [(0, 1.0, 0.1), (10, 0.5, 0.1)])
    for stage in ("cams-train", "affinity-train"):
        write_table(artifacts.history(stage, "I"), ("step", "loss", "lr"), [(0, 1.0, 0.1), (10, 0.5, 0.1)])
    write_table(artifacts.losses("WSGCN-I"), ["id", *LOSSES], [("x", 1, 2, 3, 4, 5), ("y", 2, 2, 3, 4, 5)])
    write_report(params(METHODS["WSGCN-I"], METHODS["IRNet"]), artifacts)
    page = (artifacts.root / "report" / "index.html").read_text()
    read = Balanced(page)
    assert read.seen.count("polyline") == 2 + 1 + 1
    assert read.seen.count("rect") == 2
    assert page.count(">62</td>") == 2 * 2
    assert len(re.findall(r'<i class="c\d" style', page)) == 2 * 3 * 2
    assert "<b>|cat" not in page
    assert not re.search(r"https?:|url\(|@import", page)


def test_one_method_alone_and_without_masks_has_no_empty_section(artifacts):
    write_labels(artifacts, METHODS["IRNet"], {"images": 3, "classes": []}, panels=())
    write_table(artifacts.confusion("evaluate-labels", "IRNet"), ("actual", "predicted", "share"), [])
    write_table(artifacts.history("cams-train", "I"), ("step", "loss", "lr"), [])
    write_report(params(METHODS["IRNet"]), artifacts)
    page = (artifacts.root / "report" / "index.html").read_text()
    assert re.findall(r'<section id="(\w+)">', page) == ["comparison", "findings"]
    assert re.findall(r'href="#(\w+)"', page) == ["comparison", "findings"]
    assert "<details" not in page


@pytest.mark.parametrize(
    ("file", "content"),
    [
        (lambda files: files.confusion("evaluate-labels", "IRNet"), "actual,predicted,share\na,b,x\n"),
        (lambda files: files.history("segtrain", "IRNet"), "step,lr\n0,1\n"),
    ],
)
def test_a_broken_table_is_named(artifacts, file, content):
    write_labels(artifacts, METHODS["IRNet"], panels=())
    file(artifacts).parent.mkdir(parents=True, exist_ok=True)
    file(artifacts).write_text(content)
    with pytest.raises(DataError, match=re.escape(str(file(artifacts)))):
        write_report(params(METHODS["IRNet"]), artifacts)
