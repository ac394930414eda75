"""DVC's plot templates that ship with the presets fit the tables, and DVC fills them."""

import json

import pytest
from dvc_render.vega import VegaRenderer

from tests.conftest import ROOT
from wsgcn.evaluate.results import CONFUSION, PER_CLASS

PLOTS = ROOT / "wsgcn" / "presets" / "plots"
LOSSES = ("id", "total", "fg", "bg", "ent", "lap")


def filled(template, columns, x, y):
    """A template as DVC fills it with one row of two revisions; DVC hands all values over as text."""
    row = dict.fromkeys(columns, "0.5")
    rows = [row | {"rev": rev, "step": row.get("step", "0")} for rev in ("workspace", "main")]
    renderer = VegaRenderer(rows, "table.csv", template=template, template_dir=str(PLOTS), x=x, y=y)
    return json.dumps(renderer.get_filled_template())


@pytest.mark.parametrize(
    ("template", "columns", "x", "y"),
    [
        ("confusion", CONFUSION, "predicted", "actual"),
        ("class_iou", PER_CLASS, "iou", "class"),
        ("losses", LOSSES, "step", "id"),
    ],
)
def test_dvc_fills_every_place_of_a_template(template, columns, x, y):
    text = filled(template, columns, x, y)
    assert "<DVC_METRIC" not in text
    assert f'"{x}"' in text
    assert f'"{y}"' in text


def test_templates_name_the_columns_of_the_tables():
    assert f"datum.{CONFUSION[2]}" in (PLOTS / "confusion.json").read_text()
    text = (PLOTS / "class_iou.json").read_text()
    assert f"datum.{PER_CLASS[2]}" in text
    assert f'"{PER_CLASS[1]}"' in text
