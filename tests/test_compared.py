"""The systems that the paper compares itself with: the YAML of docs/compared, and the comments of the presets."""

from __future__ import annotations

import json
import re
from functools import reduce
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests import chain
from tests.conftest import ROOT, real_content
from tests.projects import git, merged, repro, write_yaml, wsgcn
from wsgcn.params import parse_params
from wsgcn.report.published import TABLE_1, TABLE_3
from wsgcn.store.paths import Artifacts
from wsgcn.vocabulary import PRESET_FOLDER

PAGES = {path.stem: path for path in sorted((ROOT / "docs" / "compared").glob("*.md"))}
SYSTEMS = ("SEAM", "SC-CAM", "SingleStage", "DSRG", "RRM", "MCIS", "GroupWSSS")


def on_the_demo(page: Path) -> dict[str, Any]:
    """What a page adds to the demo's parameters."""
    (text,) = re.findall(r"^In `params\.yaml`[^\n]*:\n\n```yaml\n(.*?)^```$", page.read_text(), re.M | re.S)
    return yaml.safe_load(text)


def uncommented(preset: str) -> dict[str, Any]:
    """A preset's parameters with the variants and methods that stand there as comments."""
    text = (PRESET_FOLDER / f"{preset}.yaml").read_text()
    return yaml.safe_load(re.sub(r"^  # ([\w-]+: \{)", r"  \1", text, flags=re.M))


def test_every_system_has_its_page():
    assert {name for page in PAGES.values() for name in on_the_demo(page)["methods"]} >= set(SYSTEMS)


@pytest.mark.parametrize("page", PAGES)
def test_a_page_fits_the_demo(page):
    more = on_the_demo(PAGES[page])
    params = parse_params(merged(real_content(), more), page)
    assert set(more["methods"]) <= set(params.methods)


@pytest.mark.parametrize("preset", ["voc12", "voc12-mobile"])
def test_a_preset_holds_every_system_as_a_comment(preset):
    content = uncommented(preset)
    assert set(SYSTEMS) <= set(parse_params(content, preset).methods)
    plain = yaml.safe_load((PRESET_FOLDER / f"{preset}.yaml").read_text())
    assert not set(SYSTEMS) & set(plain["methods"])
    assert merged(plain, content) == content


def test_methods_are_called_as_in_the_papers_tables():
    """So the report puts their figures beside the published ones; DSRG is in neither table."""
    rows = {row.system for row in (*TABLE_1, *TABLE_3)}
    assert set(SYSTEMS) - rows == {"DSRG"}


@pytest.mark.slow
def test_all_methods_in_one_repro(tmp_path):
    """Those of the demo and of every page, from photographs to the report; a second time nothing runs."""
    folder = tmp_path / "project"
    folder.mkdir()
    git(folder, "init", "--quiet")
    wsgcn(ROOT, tmp_path, "init", folder.name, "--preset", "demo")
    pages = [on_the_demo(page) for page in PAGES.values()]
    content = chain.shrunk(reduce(merged, pages, yaml.safe_load((folder / "params.yaml").read_text())))
    write_yaml(folder, content)
    ran = repro(ROOT, folder)
    artifacts = Artifacts(folder / "artifacts")
    for name in content["methods"]:
        assert {f"evaluate-labels@{name}", f"segtrain@{name}", f"evaluate@{name}"} <= ran
        for stage, metric in (("evaluate-labels", "pseudo_miou_crf"), ("evaluate", "seg_miou")):
            scores = json.loads((artifacts.root / stage / name / "metrics.json").read_text())
            assert 0 < scores[metric] <= 1
    report = (artifacts.root / "report" / "report.md").read_text()
    assert all(name in report for name in content["methods"])
    assert repro(ROOT, folder) == {"code"}
