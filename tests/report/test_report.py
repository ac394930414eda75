"""The report says what the scores say, whatever names and gaps they hold."""

import html
import io
import re

import pytest
from rich.console import Console

from tests.damage import png_of_size
from tests.report.cases import (
    EVIL,
    GCN,
    LOSSES,
    METHODS,
    SHIPPED,
    Balanced,
    Propagation,
    label_scores,
    method,
    network_scores,
    params,
    result,
    without_masks,
    write_both,
    write_labels,
    write_network,
)
from wsgcn.errors import DataError
from wsgcn.report.content import Content
from wsgcn.report.findings import basis, findings
from wsgcn.report.html import html_page
from wsgcn.report.markdown import escape_markdown, markdown_page, markdown_table
from wsgcn.report.paper import paper_tables
from wsgcn.report.results import MethodResult
from wsgcn.report.stage import write_report
from wsgcn.report.table import Cell, comparison, coverage, losses, mark_best, partial_label_table, per_class
from wsgcn.store.files import write_table
from wsgcn.store.paths import Artifacts


@pytest.fixture
def artifacts(tmp_path):
    return Artifacts(tmp_path / "artifacts")


def page(artifacts):
    return (artifacts.root / "report" / "index.html").read_text()


def markdown(artifacts):
    return (artifacts.root / "report" / "report.md").read_text()


def shown(table):
    console = Console(width=150, record=True, file=io.StringIO())
    console.print(table)
    return console.export_text()


# ---------------------------------------------------------------- the stage


def test_both_files_and_the_terminal_table(artifacts):
    for one in SHIPPED:
        write_both(artifacts, one)
    write_table(artifacts.losses("WSGCN-I"), ["id", *LOSSES], [("x", 1, 2, 3, 4, 5), ("y", 2, 2, 3, 4, 5)])
    write_table(artifacts.losses("WSGCN-P"), ["id", *LOSSES], [])
    terminal = shown(write_report(params(), artifacts))
    assert all(one.name in terminal for one in SHIPPED)
    assert "50.0" in terminal
    assert "1.50" in terminal
    assert sorted(path.name for path in (artifacts.root / "report").iterdir()) == ["index.html", "report.md"]
    text = markdown(artifacts)
    assert "| WSGCN-I | 1.5 | 2 | 3 | 4 | 5 |" in text
    assert "| WSGCN-P | – | – | – | – | – |" in text
    for link in re.findall(r"\]\(([^)]*)\)", text):
        assert (artifacts.root / "report" / link.replace("%20", " ")).is_file()
    assert "../evaluate/PSA/panels/y%20z.png" in text
    assert "../evaluate-labels/PSA/panels/y%20z.png" in text


def test_the_methods_are_those_of_the_parameters(artifacts, tiny_params):
    methods = tiny_params.all_methods()
    assert {"WSGCN-I", "PSA"} <= {one.name for one in methods}
    for one in methods:
        write_both(artifacts, one)
    terminal = shown(write_report(tiny_params, artifacts))
    assert all(one.name in terminal for one in methods)
    assert "WSGCN-I against IRNet, by mIoU" in page(artifacts)
    assert "WSGCN-P against PSA, by mIoU" in page(artifacts)


def test_the_page_is_balanced_and_needs_nothing_else(artifacts):
    for one in SHIPPED:
        write_both(artifacts, one)
    write_report(params(), artifacts)
    read = Balanced(page(artifacts))
    assert read.seen.count("img") == 4 * 2 * 2
    assert all(one.startswith(("data:image/jpeg;base64,", "#")) for one in read.sources)
    assert not {"script", "link"} & set(read.seen)
    assert EVIL in read.texts
    assert "<b>|cat" not in page(artifacts)
    assert not re.search(r"https?:|url\(|@import", page(artifacts))
    assert len(set(read.ids)) == len(read.ids)
    assert {one[1:] for one in read.sources if one.startswith("#")} <= set(read.ids)
    assert "max-width:100.0%" in page(artifacts)
    assert "max-width:83.3%" in page(artifacts)  # a panel with fewer tiles has tiles of the same size


def test_nothing_evaluated_is_one_line_that_helps(artifacts):
    write_labels(artifacts, METHODS["smooth-P"])  # no method of these parameters
    with pytest.raises(DataError, match=r"evaluate-labels and .*evaluate hold no scores.json.*dvc repro"):
        write_report(params(), artifacts)
    assert not (artifacts.root / "report").exists()


def test_missing_methods_are_said_and_the_rest_is_shown(artifacts):
    write_both(artifacts, METHODS["PSA"], panels=())
    write_report(params(), artifacts)
    assert "Not evaluated yet: WSGCN-I, WSGCN-P, IRNet." in page(artifacts)
    assert "against" not in page(artifacts)
    Balanced(page(artifacts))
    assert "in pictures" not in page(artifacts)
    assert "Partial pseudo labels" not in page(artifacts)
    assert "network not evaluated yet" not in page(artifacts)


def test_labels_are_shown_before_there_is_a_network(artifacts):
    ours, base = METHODS["WSGCN-I"], METHODS["IRNet"]
    write_labels(artifacts, ours, label_scores(ours, 0.7))
    write_labels(artifacts, base, label_scores(base, 0.6))
    write_network(artifacts, base)
    terminal = shown(write_report(params(ours, base), artifacts))
    assert re.search(r"WSGCN-I[ │]+70\.0[ │]+70\.0[ │]+70\.0[ │]+–[ │]+–[ │]+1\.50", terminal)
    read = Balanced(page(artifacts))
    assert read.seen.count("img") == 2 * 2 + 2
    said = page(artifacts)
    assert "10.0 points above before the CRF, 10.0 points above after the CRF." in said
    assert "Segmentation network not evaluated yet: WSGCN-I." in said
    assert "Take care" not in said
    assert "scored on 6 photographs, segmentation networks scored on 3 validation photographs" in said
    assert "ground-truth masks" not in said


def test_a_network_is_shown_before_its_labels_are_scored(artifacts):
    write_network(artifacts, METHODS["PSA"])
    write_report(params(METHODS["PSA"]), artifacts)
    assert "Pseudo labels not evaluated yet: PSA." in page(artifacts)
    assert "Dataset tiny &lt;&amp;&gt;: segmentation networks scored on 3 validation photographs." in page(artifacts)
    assert "### Segmentation network after the CRF" in markdown(artifacts)
    assert "### Pseudo labels" not in markdown(artifacts)


def test_without_masks_there_are_pictures_and_coverage(artifacts):
    for one in SHIPPED:
        write_labels(artifacts, one, without_masks(label_scores(one)))
        write_network(artifacts, one, without_masks(network_scores(one)))
    assert re.search(r"WSGCN-I[ │]+(–[ │]+){5}1\.50", shown(write_report(params(), artifacts)))
    read, text = Balanced(page(artifacts)), markdown(artifacts)
    assert read.seen.count("img") == 4 * 2 * 2
    assert "no scores of the pseudo labels and the segmentation networks: they need ground-truth masks" in text
    assert "pseudo labels made for 6 photographs, segmentation networks run on 3 validation photographs." in text
    assert "| WSGCN-I | 100.0 | 100.0 |" in text
    for absent in ("best of each row", "Partial pseudo labels", "classes are scored", "against", "not evaluated"):
        assert absent not in text
        assert absent not in page(artifacts)


def test_masks_of_the_validation_photographs_alone_score_the_networks(artifacts):
    one = METHODS["PSA"]
    write_labels(artifacts, one, without_masks(label_scores(one)))
    write_network(artifacts, one)
    write_report(params(one), artifacts)
    text = markdown(artifacts)
    assert "no scores of the pseudo labels: they need ground-truth masks" in text
    assert "pseudo labels made for 6 photographs, segmentation networks scored on 3 validation photographs." in text
    assert "2 classes are scored" in text
    assert "## Coverage" in text


def test_a_method_of_any_name_and_kind_is_one_more_row(artifacts):
    other = method("mine_2", "X", Propagation("other", ("total", "smoothness")))
    methods = (*SHIPPED, METHODS["smooth-P"], other)
    for one in methods:
        write_both(artifacts, one)
    write_table(artifacts.losses("WSGCN-I"), ["id", *LOSSES], [("x", 1, 2, 3, 4, 5)])
    write_table(artifacts.losses("mine_2"), ["id", "total", "smoothness"], [("x", 7, 8), ("y", 8, 8)])
    write_table(artifacts.losses("smooth-P"), ["id", "left over"], [("x", 1)])  # of a kind that this name had before
    assert all(one.name in shown(write_report(params(*methods), artifacts)) for one in methods)
    text = markdown(artifacts)
    assert "| Method | Total | Foreground | Background | Entropy | Laplacian | smoothness |" in text
    assert "| WSGCN-I | 1 | 2 | 3 | 4 | 5 | – |" in text
    assert r"| mine\_2 | 7.5 | – | – | – | – | 8 |" in text
    assert "smooth-P share" not in text
    against = re.findall(r"- (.*) against (.*), by mIoU", text)
    assert against == [("WSGCN-I", "IRNet"), ("WSGCN-P", "PSA"), ("smooth-P", "PSA")]


@pytest.mark.parametrize("broken", ["labels", "deep", "network", "losses", "cut", "curve", "bytes", "panel", "huge"])
def test_a_broken_file_is_named(artifacts, broken):
    write_both(artifacts, METHODS["WSGCN-I"])
    path = {
        "labels": artifacts.folder("evaluate-labels", "WSGCN-I") / "scores.json",
        "deep": artifacts.folder("evaluate-labels", "WSGCN-I") / "scores.json",
        "network": artifacts.folder("evaluate", "WSGCN-I") / "scores.json",
        "losses": artifacts.losses("WSGCN-I"),
        "cut": artifacts.losses("WSGCN-I"),
        "curve": artifacts.history("segtrain", "WSGCN-I"),
        "bytes": artifacts.history("cams-train", "I"),
        "huge": artifacts.folder("evaluate", "WSGCN-I") / "panels" / "x.png",
        "panel": artifacts.folder("evaluate", "WSGCN-I") / "panels" / "x.png",
    }[broken]
    content = {
        "labels": b"[]",
        "deep": b"[" * 100_000,
        "network": b"[]",
        "losses": b"id,total\nx,1\n",
        "cut": b"id,total,fg,bg,ent,lap\nx,1,2\n",
        "curve": b"step,loss,lr\n1,high,0.1\n",
        "bytes": b"step,loss,lr\n1,\xff,0.1\n",
        "huge": png_of_size(60_000, 60_000),
        "panel": path.read_bytes()[:60] if path.exists() else b"",
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content[broken])
    with pytest.raises(DataError, match=re.escape(str(path))):
        write_report(params(), artifacts)


def test_running_twice_gives_the_same(artifacts):
    write_both(artifacts, METHODS["WSGCN-I"])
    write_report(params(), artifacts)
    first = page(artifacts)
    write_report(params(), artifacts)
    assert page(artifacts) == first
    assert html.escape(EVIL) in first


# ---------------------------------------------------------------- tables


def test_markdown_keeps_names_in_their_cell():
    assert escape_markdown("a|b\n<c>_*") == r"a\|b \<c\>\_\*"
    table = per_class([result("PSA"), result("IRNet")])[0]
    for line in markdown_table(table).splitlines():
        assert len(re.findall(r"(?<!\\)\|", line)) == 4


def test_gaps_are_dashes():
    scores = {"classes": ["a"], "cam_miou": None, "pseudo_miou": "x", "seg_miou": float("nan")}
    poor = MethodResult(METHODS["WSGCN-I"], scores)
    assert [cell.text for cell in comparison([poor]).rows[0]] == ["WSGCN-I", *["–"] * 6]
    assert per_class([poor])[0].rows[0] == (Cell("a"), Cell("–"))
    assert partial_label_table([poor]).rows[0][1:] == (Cell("–"), Cell("–"))
    assert losses([poor]).rows[0][1] == Cell("–")
    assert coverage([poor]) is None
    Balanced(html_page(Content([poor], paper_tables([], []))))
    assert "an unknown number of photographs" in basis([poor])
    assert "mIoU:" not in " ".join(findings([poor, result("IRNet")]))


def test_tables_of_a_kind_are_there_for_its_methods_alone():
    assert partial_label_table([result("PSA"), result("smooth-P")]) is None
    assert losses([result("PSA"), result("smooth-P")]) is None
    assert partial_label_table([result("PSA"), result("WSGCN-P")]).columns == (
        "Class",
        "WSGCN-P share",
        "WSGCN-P precision",
    )


def test_coverage_is_shown_where_it_is_not_complete():
    assert coverage([result("PSA")]) is None
    table = coverage([result("PSA"), result("WSGCN-P", pseudo_coverage_crf=0.75)])
    assert [cell.text for cell in table.rows[1]] == ["WSGCN-P", "100.0", "75.0"]


def test_the_best_is_bold_and_ties_share_it():
    assert mark_best([0.5, None, 0.6]) == [Cell("50.0"), Cell("–"), Cell("60.0", True)]
    assert mark_best([0.60001, 0.6, 0.5]) == [Cell("60.0", True), Cell("60.0", True), Cell("50.0")]
    assert mark_best([0.5]) == [Cell("50.0")]
    assert [one.best for one in mark_best([2.0, 1.0], lowest=True)] == [False, True]
    both = [result("WSGCN-I", 0.7), result("IRNet", 0.6)]
    assert "**70.0**" in markdown_page(Content(both))
    assert "**60.0**" not in markdown_page(Content(both))
    assert '<td class="best"><b>70.0</b></td>' in html_page(Content(both))


@pytest.mark.parametrize("values", [[0.0, 0.0], [0.60001, 0.6], [0.5, None, 0.5], [None, None], []])
def test_where_all_read_alike_none_is_best(values):
    assert not any(cell.best for cell in mark_best(values))
    assert not any(cell.best for cell in mark_best(values, lowest=True))


# ---------------------------------------------------------------- sentences


def test_sentences_tell_gains_and_losses():
    ours = result("WSGCN-I", pseudo_miou=0.612, pseudo_miou_crf=0.596, seg_miou_crf=0.5)
    base = result("IRNet", pseudo_miou=0.602, pseudo_miou_crf=0.6, seg_miou_crf=0.5)
    (first,) = [one for one in findings([ours, base]) if "against" in one]
    assert "WSGCN-I against IRNet" in first
    assert "1.0 point above before the CRF" in first
    assert "0.4 points below after the CRF" in first
    assert "segmentation network level after its own CRF" in first
    assert "The best pseudo labels after the CRF: IRNet, 60.0 % mIoU." in findings([ours, base])
    assert "The best segmentation network after the CRF: WSGCN-I and IRNet, 50.0 % mIoU." in findings([ours, base])


def test_a_difference_is_that_of_the_numbers_shown():
    said = findings([result("WSGCN-P", pseudo_miou=0.51151), result("PSA", pseudo_miou=0.50049)])
    assert "1.2 points above before" in " ".join(said)  # 51.2 - 50.0, although 1.1 unrounded


def test_only_methods_of_one_variant_are_compared_with_each_baseline():
    other = MethodResult(method("walk-2", "P", METHODS["PSA"].propagation), dict(result("PSA").metrics))
    several = MethodResult(method("gcn-2", "I", GCN), dict(result("WSGCN-I").metrics))
    said = [
        one.split(",")[0] for one in findings([result("WSGCN-P"), result("PSA"), other, several]) if "against" in one
    ]
    assert said == ["WSGCN-P against PSA", "WSGCN-P against walk-2"]


def test_a_later_round_is_compared_with_the_round_right_before_it():
    second = MethodResult(method("GCN-2", "I2", GCN, before=("I",)), dict(result("WSGCN-I", 0.6).metrics))
    third = MethodResult(method("GCN-3", "I3", GCN, before=("I", "I2")), dict(result("WSGCN-I", 0.7).metrics))
    said = findings([result("WSGCN-I"), result("IRNet"), second, third])
    assert [one.split(",")[0] for one in said if "against" in one] == [
        "WSGCN-I against IRNet",
        "GCN-2 against WSGCN-I",
        "GCN-3 against GCN-2",
    ]


@pytest.mark.parametrize(
    ("scores", "said"),
    [
        ({"cam_miou": 0.42453, "pseudo_miou": 0.5, "pseudo_miou_crf": 0.38661}, "38.7 after the CRF, against 42.5"),
        ({"cam_miou": 0.5, "pseudo_miou": 0.49, "pseudo_miou_crf": None}, "49.0 before the CRF, against 50.0"),
        ({"cam_miou": 0.5, "pseudo_miou": 0.4, "pseudo_miou_crf": 0.5}, "40.0 before the CRF, against 50.0"),
        ({"cam_miou": 0.5, "pseudo_miou": 0.4, "pseudo_miou_crf": 0.6}, "40.0 before the CRF, against 50.0"),
        (
            {"cam_miou": 0.478, "pseudo_miou": 0.434, "pseudo_miou_crf": 0.44},
            "43.4 before the CRF and 44.0 after the CRF, against 47.8",
        ),
        (
            {"cam_miou": 0.4, "cam_miou_best": 0.47, "pseudo_miou": 0.45, "pseudo_miou_crf": 0.48},
            "45.0 before the CRF, against 47.0 at their best threshold",
        ),
        ({"cam_miou": 0.5, "pseudo_miou": 0.5, "pseudo_miou_crf": 0.5}, None),
        ({"cam_miou": 0.4, "cam_miou_best": 0.47, "pseudo_miou": 0.47, "pseudo_miou_crf": 0.6}, None),
        ({"cam_miou": None, "pseudo_miou": 0.4, "pseudo_miou_crf": 0.4}, None),
    ],
)
def test_labels_worse_than_their_cams_are_said_to_be(scores, said):
    found = [one for one in findings([result("WSGCN-P", **scores)]) if "raw CAM" in one]
    assert found == ([f"WSGCN-P's labels are worse than the raw CAMs they come from ({said})."] if said else [])


def test_methods_scored_on_other_photographs_are_pointed_out():
    assert "Take care" in " ".join(findings([result("PSA"), result("IRNet", images=7)]))
    assert "Take care" in " ".join(findings([result("PSA"), result("IRNet", classes=["background"])]))
    assert "Take care" not in " ".join(findings([result("PSA"), result("IRNet")]))


def test_results_of_other_parameters_are_left_out(artifacts):
    ours, base = METHODS["WSGCN-I"], METHODS["IRNet"]
    write_both(artifacts, ours)
    write_both(artifacts, base)
    terminal = shown(write_report(params(ours, base), artifacts, left_out={ours.name: ["evaluate"]}))
    assert re.search(r"WSGCN-I[ │]+[\d.]+[ │]+[\d.]+[ │]+[\d.]+[ │]+–[ │]+–", terminal)
    said = page(artifacts)
    assert "other parameters than those in params.yaml and left out: evaluate/WSGCN-I; run dvc repro." in said
    assert "not evaluated yet" not in said
    with pytest.raises(DataError, match="with its parameters"):
        write_report(params(ours), artifacts, left_out={ours.name: ["evaluate-labels", "evaluate"]})
