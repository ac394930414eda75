"""The report says what the metrics say, whatever names and gaps they hold."""

import html
import io
import re
from html.parser import HTMLParser

import pytest
from PIL import Image
from rich.console import Console

from wsgcn.errors import DataError
from wsgcn.report.findings import basis, findings
from wsgcn.report.page import escape_markdown, html_page, markdown_page, markdown_table
from wsgcn.report.paper import paper_tables
from wsgcn.report.results import Result
from wsgcn.report.stage import run
from wsgcn.report.table import Cell, comparison, losses, mark_best, partial_labels, per_class
from wsgcn.store.files import write_atomic, write_json, write_table
from wsgcn.store.paths import Artifacts
from wsgcn.vocabulary import METHODS

EVIL = '<b>|cat & "dog" *'
VOID = {"meta", "img", "br"}


def metrics(name, base=0.5, classes=("background", EVIL)):
    found = {"method": name, "dataset": "tiny <&>", "classes": list(classes), "images": 6, "val_images": 3}
    for stage in ("cam", "pseudo", "seg"):
        for end in ("", "_crf"):
            found[f"{stage}_miou{end}"] = base
            found[f"{stage}_iou{end}"] = dict.fromkeys(classes, base)
    if METHODS[name].propagation == "gcn":
        found["partial"] = {"foreground_share": 0.125, "foreground_precision": None}
        found["partial"] |= {"share": dict.fromkeys(classes, 0.25), "precision": dict.fromkeys(classes)}
    return found | {"seconds_per_image": {"propagate": 1.25, "crf": 0.25}}


def result(name, base=0.5, **changes):
    return Result(METHODS[name], metrics(name, base) | changes)


def write(artifacts, name, base=0.5, panels=("x", "y z")):
    write_json(artifacts.metrics(name), metrics(name, base))
    for image_id in panels:
        for folder in ("panels", "panels/val"):
            path = artifacts.folder("evaluate", name) / folder / f"{image_id}.png"
            width = 1800 if METHODS[name].propagation == "gcn" else 1500
            write_atomic(path, lambda file, width=width: Image.new("RGB", (width, 260), "red").save(file, format="PNG"))


@pytest.fixture
def artifacts(tmp_path):
    return Artifacts(tmp_path / "artifacts")


class Balanced(HTMLParser):
    """Fails where a tag is not closed in order; keeps what is inside and what is referred to."""

    def __init__(self, text):
        super().__init__(convert_charrefs=True)
        self.open, self.seen, self.sources, self.texts = [], [], [], []
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        self.seen.append(tag)
        self.sources += [value for key, value in attrs if key in ("src", "href")]
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.texts.append(data)


def page(artifacts):
    return (artifacts.root / "report" / "index.html").read_text()


def test_both_files_and_the_terminal_table(artifacts, tiny_params):
    for name in METHODS:
        write(artifacts, name)
    write_table(
        artifacts.losses("WSGCN-I"),
        ["id", "total", "fg", "bg", "ent", "lap"],
        [("x", 1, 2, 3, 4, 5), ("y", 2, 2, 3, 4, 5)],
    )
    write_table(artifacts.losses("WSGCN-P"), ["id", "total", "fg", "bg", "ent", "lap"], [])
    console = Console(width=150, record=True, file=io.StringIO())
    console.print(run(tiny_params, artifacts))
    shown = console.export_text()
    assert all(name in shown for name in METHODS)
    assert "50.0" in shown
    assert "1.50" in shown
    assert sorted(path.name for path in (artifacts.root / "report").iterdir()) == ["index.html", "report.md"]
    text = (artifacts.root / "report" / "report.md").read_text()
    assert "| WSGCN-I | 1.5 | 2 | 3 | 4 | 5 |" in text
    assert "| WSGCN-P | – | – | – | – | – |" in text
    for link in re.findall(r"\]\(([^)]*)\)", text):
        assert (artifacts.root / "report" / link.replace("%20", " ")).is_file()
    assert "../evaluate/PSA/panels/val/y%20z.png" in text


def test_the_page_is_balanced_and_needs_nothing_else(artifacts, tiny_params):
    for name in METHODS:
        write(artifacts, name)
    run(tiny_params, artifacts)
    read = Balanced(page(artifacts))
    assert read.seen.count("img") == 4 * 2 * 2
    assert all(one.startswith(("data:image/jpeg;base64,", "#")) for one in read.sources)
    assert not {"script", "link"} & set(read.seen)
    assert EVIL in read.texts
    assert "<b>|cat" not in page(artifacts)
    assert 'style="width:100.0%"' in page(artifacts)
    assert 'style="width:83.3%"' in page(artifacts)  # a panel with fewer tiles has tiles of the same size


def test_markdown_keeps_names_in_their_cell():
    assert escape_markdown("a|b\n<c>_*") == r"a\|b \<c\>\_\*"
    table = per_class([result("PSA"), result("IRNet")])[0]
    for line in markdown_table(table).splitlines():
        assert len(re.findall(r"(?<!\\)\|", line)) == 4


def test_no_method_is_one_line_that_helps(artifacts, tiny_params):
    with pytest.raises(DataError, match=r"no metrics.json.*dvc repro"):
        run(tiny_params, artifacts)
    assert not (artifacts.root / "report").exists()


def test_missing_methods_are_said_and_the_rest_is_shown(artifacts, tiny_params):
    write(artifacts, "PSA", panels=())
    run(tiny_params, artifacts)
    assert "Not evaluated yet: WSGCN-I, WSGCN-P, IRNet." in page(artifacts)
    assert "against" not in page(artifacts)
    Balanced(page(artifacts))
    assert "in pictures" not in page(artifacts)
    assert "Partial pseudo labels" not in page(artifacts)


def test_gaps_are_dashes():
    poor = Result(
        METHODS["WSGCN-I"], {"classes": ["a"], "cam_miou": None, "pseudo_miou": "x", "seg_miou": float("nan")}
    )
    assert [cell.text for cell in comparison([poor]).rows[0]] == ["WSGCN-I", *["–"] * 6]
    assert per_class([poor])[0].rows[0] == (Cell("a"), Cell("–"))
    assert partial_labels([poor]).rows[0][1:] == (Cell("–"), Cell("–"))
    assert losses([poor]).rows[0][1] == Cell("–")
    Balanced(html_page([poor], paper_tables([], [])))
    assert "an unknown number of photographs" in basis([poor])
    assert "mIoU:" not in " ".join(findings([poor, result("IRNet")]))


def test_the_best_is_bold_and_ties_share_it():
    assert mark_best([0.5, None, 0.6]) == [Cell("50.0"), Cell("–"), Cell("60.0", True)]
    assert mark_best([0.60001, 0.6]) == [Cell("60.0", True), Cell("60.0", True)]
    assert mark_best([0.5]) == [Cell("50.0")]
    assert [one.best for one in mark_best([2.0, 1.0], lowest=True)] == [False, True]
    both = [result("WSGCN-I", 0.7), result("IRNet", 0.6)]
    assert "**70.0**" in markdown_page(both, [])
    assert "**60.0**" not in markdown_page(both, [])
    assert '<td class="best"><b>70.0</b></td>' in html_page(both, [])


def test_sentences_tell_gains_and_losses():
    ours = result("WSGCN-I", pseudo_miou=0.612, pseudo_miou_crf=0.596, seg_miou_crf=0.5)
    base = result("IRNet", pseudo_miou=0.602, pseudo_miou_crf=0.6, seg_miou_crf=0.5)
    first = findings([ours, base])[0]
    assert "WSGCN-I against IRNet" in first
    assert "1.0 point above before the CRF" in first
    assert "0.4 points below after the CRF" in first
    assert "its segmentation network is level" in first
    assert any("IRNet" in one and "WSGCN-I" in one and "50.0 %" in one for one in findings([ours, base])[1:])


def test_a_difference_is_that_of_the_numbers_shown():
    first = findings([result("WSGCN-P", pseudo_miou=0.51151), result("PSA", pseudo_miou=0.50049)])[0]
    assert "1.2 points above before" in first  # 51.2 - 50.0, although 1.1 unrounded


def test_methods_scored_on_other_photographs_are_pointed_out():
    assert "Take care" in " ".join(findings([result("PSA"), result("IRNet", images=7)]))
    assert "Take care" not in " ".join(findings([result("PSA"), result("IRNet")]))


@pytest.mark.parametrize("broken", ["metrics", "losses", "panel"])
def test_a_broken_file_is_named(artifacts, tiny_params, broken):
    write(artifacts, "WSGCN-I")
    path = {
        "metrics": artifacts.metrics("WSGCN-I"),
        "losses": artifacts.losses("WSGCN-I"),
        "panel": artifacts.folder("evaluate", "WSGCN-I") / "panels" / "x.png",
    }[broken]
    content = {
        "metrics": b"[]",
        "losses": b"id,total\nx,1\n",
        "panel": path.read_bytes()[:60] if path.exists() else b"",
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content[broken])
    with pytest.raises(DataError, match=re.escape(str(path))):
        run(tiny_params, artifacts)


def test_running_twice_gives_the_same(artifacts, tiny_params):
    write(artifacts, "WSGCN-I")
    run(tiny_params, artifacts)
    first = page(artifacts)
    run(tiny_params, artifacts)
    assert page(artifacts) == first
    assert html.escape(EVIL) in first
