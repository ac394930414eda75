"""The paper's tables: the published figures as printed, ours only where a run is comparable."""

import json
import re
from statistics import fmean

import pytest
import yaml

from tests.conftest import ROOT
from wsgcn.params import parse_params
from wsgcn.report.paper import LABELS_MAY_DIFFER, NETWORKS_MAY_DIFFER, citations, paper_tables, with_ours
from wsgcn.report.published import REFERENCES, TABLE_1, TABLE_2, TABLE_3, TABLE_4, TABLE_5
from wsgcn.tracking.finished import FinishedRun
from wsgcn.tracking.parameters import flat_params
from wsgcn.vocabulary import PRESET_FOLDER, VOC_CLASSES

PROPAGATIONS = {"WSGCN-I": "gcn-i", "WSGCN-P": "gcn-p", "IRNet": "walk-i", "PSA": "walk-p", "mine": "gcn-mine"}


IMAGENET = {"frozen_stages": 1, "steps": 90000, "batch": 26, "accumulate": 1, "crop": 381, "lr": 0.001}
IMAGENET |= {"head_lr_factor": 1.0, "head_bias_lr_factor": 2.0, "freeze_norm": "affine"}
COCO = {"frozen_stages": 0, "steps": 20000, "batch": 5, "accumulate": 2, "crop": 321, "lr": 0.00025}
COCO |= {"head_lr_factor": 10.0, "head_bias_lr_factor": 20.0, "freeze_norm": "all"}
"""What deeplab-imagenet-pytorch and deeplab-pytorch publish, written down here once more."""


def written(recipe):
    """As a run in MLflow has it."""
    return {name: value if isinstance(value, str) else json.dumps(value) for name, value in recipe.items()}


CAFFE = {"backbone": "resnet-101-caffe", "weights": "weights/deeplab-coco.pt", **written(COCO)}
DRN = {"backbone": "drn-d-105", "frozen_stages": "0"}


def run(method="WSGCN-I", entropy=10.0, laplacian=0.01, metrics=None, **segtrain):
    start = {"backbone": "resnet-101-imagenet", "weights": "weights/resnet-101.pt", "trained": "null"}
    segtrain = start | written(IMAGENET) | segtrain
    entry = PROPAGATIONS[method]
    learned = {"entropy_weight": str(entropy), "laplacian_weight": str(laplacian)} if "gcn" in entry else {"beta": "10"}
    params = {
        "method.propagation": entry,
        **{f"propagate.{entry}.{name}": value for name, value in learned.items()},
        "evaluate.classes": json.dumps(list(VOC_CLASSES)),
        "method.segtrain": "deeplab",
        **{f"segtrain.deeplab.{name}": value for name, value in segtrain.items()},
    }
    quality = {"images": 1464.0, "val_images": 1449.0, "pseudo_miou": 0.611, "pseudo_miou_crf": 0.622}
    return FinishedRun(method, params, quality | {"seg_miou_crf": 0.633} | (metrics or {}))


def filled(runs):
    """Every cell "here" that holds a figure: by table, row and column."""
    found = {}
    for number, table in enumerate(paper_tables(runs, runs), 1):
        for row, cells in enumerate(table.rows):
            heads = [f"{cells[0].text} {head}" if number == 5 else head for head in table.columns]
            found |= {
                (number, row, head): cell.text
                for head, cell in zip(heads, cells)
                if "here" in head.lower() and cell.text not in ("–", cells[0].text)
            }
    return found


def test_published_figures_agree_with_the_papers_own_arithmetic():
    """Section 4.2 to 4.4 name differences of their rows, and Table 5's mean is that of its classes."""
    for values in TABLE_5.values():
        assert fmean(values[: len(VOC_CLASSES)]) == pytest.approx(values[-1], abs=0.06)
        assert len(values) == len(VOC_CLASSES) + 1
    quality = {row.system: row.miou for row in TABLE_1}
    assert quality["WSGCN-I"] - quality["IRNet"] == pytest.approx(1.5)
    assert quality["WSGCN-P"] - quality["PSA"] == pytest.approx(4.3)
    imagenet, coco = TABLE_3[-2:]
    assert (coco.val - imagenet.val, coco.test - imagenet.test) == pytest.approx((2.0, 0.5))
    gains = [TABLE_4[row].test - TABLE_4[row - 1].test for row in (1, 3)]
    assert gains == pytest.approx([2.5, 1.0])
    assert TABLE_5["WSGCN-I"][-1] == imagenet.test


def test_tables_are_as_printed():
    """Table 2's ticks, which the extracted text has lost, are those that section 4.3 tells in words."""
    ablation = {(row.entropy, row.laplacian, row.crf): row.miou for row in TABLE_2}
    none = ablation[False, False, False]
    assert none == 62.0
    gains = {key: round(miou - none, 1) for key, miou in ablation.items()}
    assert gains[True, False, False] == 1.5
    assert gains[False, True, False] == 2.4
    assert gains[True, True, False] == 4.7
    assert (ablation[True, False, True], ablation[False, True, True], ablation[True, True, True]) == (66.0, 66.1, 68.0)
    networks = {row.system + row.mark: (row.val, row.test) for row in TABLE_3}
    assert networks == {
        "PSA": (61.7, 63.7),
        "IRNet": (63.5, 64.8),
        "SEAM": (64.5, 65.7),
        "SC-CAM†": (66.1, 65.9),
        "RRM†": (66.3, 66.5),
        "SingleStage††": (65.7, 66.6),
        "MCIS*": (66.2, 66.9),
        "GroupWSSS*": (68.2, 68.5),
        "WSGCN-I": (66.7, 68.8),
        "WSGCN-I†": (68.7, 69.3),
    }


def test_labels_and_networks_have_their_own_runs():
    tables = paper_tables([run()], [])
    assert [cells[-1].text for cells in tables[0].rows] == [*["–"] * 6, "62.2"]
    assert all(cells[4].text == "–" for cells in tables[2].rows)


def test_every_compared_system_is_cited():
    named = {row.reference for row in (*TABLE_1, *TABLE_3, *TABLE_4)} - {None}
    assert named == set(REFERENCES)
    assert [one.split("]")[0] for one in citations()] == [f"[{number}" for number in REFERENCES]


def test_without_runs_only_published_figures_stand():
    assert filled([]) == {}
    titles = [table.title.split(":")[0] for table in paper_tables([], [])]
    assert titles == ["Table 1", "Table 2", "Table 3", "Table 4", "Table 5"]


def test_tables_without_a_figure_of_ours_are_left_out():
    assert with_ours(paper_tables([], [])) == []
    kept = with_ours(paper_tables([run()], []))
    assert [table.title.split(":")[0] for table in kept] == ["Table 1", "Table 2"]
    kept = with_ours(paper_tables([], [run("PSA", **DRN)]))
    assert [table.title.split(":")[0] for table in kept] == ["Table 4"]


def test_the_papers_setting_fills_its_rows():
    assert filled([run()]) == {
        (1, 6, "Here"): "62.2",
        (2, 3, "Here"): "61.1",
        (2, 6, "Here"): "62.2",
        (3, 8, "Here val"): "63.3",
    }


@pytest.mark.parametrize(
    ("entropy", "laplacian", "rows"), [(0.0, 0.0, [0]), (10.0, 0.0, [1, 4]), (0.0, 0.01, [2, 5]), (5.0, 0.01, [])]
)
def test_losses_that_are_off_fill_the_ablation_alone(entropy, laplacian, rows):
    found = filled([run(entropy=entropy, laplacian=laplacian)])
    assert [row for _, row, _ in found] == rows
    assert {number for number, _, _ in found} <= {2}


def test_a_walk_has_no_losses_to_be_off():
    assert filled([run("PSA", entropy=0.0)]) == {(1, 0, "Here"): "62.2"}


def test_labels_stand_beside_published_ones_of_the_same_kind():
    """The public code of IRNet, SEAM and SC-CAM has no CRF after the walk; the other figures here are after one."""
    assert filled([run("IRNet")])[1, 3, "Here"] == "61.1"
    assert {row.system: row.crf for row in TABLE_1 if row.crf is not None} == {
        "PSA": True,
        "SC-CAM": False,
        "IRNet": False,
        "SEAM": False,
        "SingleStage": True,
        "WSGCN-P": True,
        "WSGCN-I": True,
    }


def test_the_losses_are_those_of_the_entry_that_the_method_uses():
    with_another = run()
    with_another.params["propagate.gcn-p.entropy_weight"] = "0.0"
    assert filled([with_another]) == filled([run()])
    renamed = FinishedRun("WSGCN-I", run("mine", entropy=0.0, laplacian=0.0).params, run().metrics)
    assert {number for number, _, _ in filled([renamed])} == {2}


def test_a_method_of_another_name_has_no_row():
    assert filled([run("mine")]) == {}


@pytest.mark.parametrize("names", [LABELS_MAY_DIFFER, NETWORKS_MAY_DIFFER])
def test_rows_may_differ_in_losses_and_networks_alone(names):
    beginnings = tuple(name.format(propagation="gcn-i", segtrain="deeplab") for name in names)
    assert "propagate.gcn-i.entropy_weight".startswith(beginnings)
    assert "propagate.gcn-i.laplacian_weight".startswith(beginnings)
    assert "segtrain.deeplab.backbone".startswith(beginnings)
    assert "segtrain.deeplab.weights".startswith(beginnings)
    assert not "propagate.gcn-p.entropy_weight".startswith(beginnings)
    assert not "propagate.gcn-i.lr".startswith(beginnings)
    assert all(f"segtrain.deeplab.{name}".startswith(beginnings) for name in IMAGENET)
    for fixed in ("aspp_dilations", "scale", "input_scales", "optimiser.momentum", "poly_power", "min_confidence"):
        assert f"segtrain.deeplab.{fixed}".startswith(beginnings) == (names is LABELS_MAY_DIFFER)


@pytest.mark.parametrize(
    ("method", "segtrain", "cell"),
    [
        ("WSGCN-I", CAFFE, (3, 9, "Here val")),
        ("WSGCN-I", CAFFE | {"weights": "weights/resnet-101.pt"}, None),
        ("WSGCN-I", {"backbone": "resnet-101-caffe", "weights": "weights/deeplab-coco.pt"}, None),
        ("WSGCN-I", CAFFE | {"batch": "10", "accumulate": "1"}, None),
        ("WSGCN-I", CAFFE | {"freeze_norm": "none"}, None),
        ("WSGCN-I", written(COCO), None),
        ("WSGCN-I", {"batch": "12", "crop": "321"}, (3, 8, "Here val")),
        ("WSGCN-I", {"batch": "12"}, None),
        ("WSGCN-I", {"steps": "10 epochs"}, None),
        ("WSGCN-I", {"frozen_stages": "0"}, None),
        ("PSA", DRN, (4, 0, "Here val")),
        ("WSGCN-P", DRN, (4, 1, "Here val")),
        ("WSGCN-P", DRN | {"batch": "12", "crop": "321"}, (4, 1, "Here val")),
        ("WSGCN-P", {"backbone": "drn-d-105"}, None),
        ("WSGCN-P", DRN | written(COCO), None),
        ("WSGCN-I", {"weights": "null"}, None),
        ("WSGCN-I", {"weights": "cams"}, None),
        ("WSGCN-I", {"trained": "weights/deeplab-voc.pt"}, None),
        ("WSGCN-I", {"backbone": "mobilenet-v2"}, None),
        ("IRNet", {}, None),
    ],
)
def test_networks_stand_in_the_row_of_their_backbone(method, segtrain, cell):
    found = {key: text for key, text in filled([run(method, **segtrain)]).items() if key[0] in (3, 4)}
    assert found == ({cell: "63.3"} if cell else {})


def test_preset_has_one_recipe_and_the_documents_command_the_others():
    """As the run in MLflow would have them."""
    content = yaml.safe_load((PRESET_FOLDER / "voc12.yaml").read_text())
    commands = (ROOT / "docs" / "results.md").read_text().splitlines()
    (coco,), (drn,) = (
        [one for one in commands if f"weights/{file}.pt" in one] for file in ("deeplab-coco", "drn-d-105")
    )
    cells = []
    for command in ("", coco, drn):
        changes = re.findall(r"-S segtrain\.deeplab\.(\w+)=(\S+)", command)
        segtrain = content["segtrain"]["deeplab"] | {name: yaml.safe_load(value) for name, value in changes}
        params = parse_params(content | {"segtrain": {"deeplab": segtrain}}, "voc12")
        found = flat_params(params, params.method("WSGCN-I"))
        quality = {"val_images": 1449.0, "seg_miou_crf": 0.633}
        (cell,) = filled([FinishedRun("WSGCN-I", found, quality)])
        cells.append(cell)
    assert cells == [(3, 8, "Here val"), (3, 9, "Here val"), (4, 3, "Here val")]


@pytest.mark.parametrize("metrics", [{"images": 280.0, "val_images": 150.0}, {"images": 1465.0, "val_images": 1448.0}])
def test_other_photographs_are_not_compared(metrics):
    assert filled([run(metrics=metrics)]) == {}


def test_fewer_classes_are_not_compared():
    some = run()
    some.params["evaluate.classes"] = json.dumps(["background", "cat"])
    assert filled([some]) == {}


def test_the_newest_run_counts():
    newer, older = run(metrics={"pseudo_miou_crf": 0.7}), run()
    assert filled([newer, older])[1, 6, "Here"] == "70.0"
