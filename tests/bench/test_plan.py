"""What many photographs would take: reckoned from a few, by what bounds each stage."""

import json
from dataclasses import asdict, replace
from pathlib import Path

import pytest
import yaml
from typer.testing import CliRunner

from tests.conftest import changed
from wsgcn.bench import plan
from wsgcn.bench.measure import Cost
from wsgcn.bench.plan import ORDER, Machines, Planned, parse_machines, plan_stages, totals
from wsgcn.bench.stages import Photographs, Seeds
from wsgcn.bench.table import plan_table
from wsgcn.bench.trainings import ShortTraining
from wsgcn.cli import app
from wsgcn.errors import DataError, UsageError


def test_machines_are_so_many_with_so_many_cores():
    assert parse_machines("8x16") == Machines(8, 16)


@pytest.mark.parametrize("text", ["8", "8x", "0x4", "8x16x2", "-1x2", "axb", ""])
def test_what_is_no_number_of_machines_is_one_line(text):
    with pytest.raises(UsageError, match="such as 8x16"):
        parse_machines(text)


@pytest.fixture
def measured(made, monkeypatch):
    """Stands in the project; every measurement takes 8 s of a core, 16 s of the clock and 500 MB."""
    asked = []

    def measure(prepare, repeats, threads=1, **more):
        asked.append(prepare)
        return Cost(seconds=16, processor_seconds=8 * threads, peak_mb=500, base_mb=100)

    monkeypatch.setattr(plan, "measure", measure)
    monkeypatch.chdir(made.root.parent)
    return asked


def reckoned(params, photographs, machines, method="WSGCN-I") -> dict[str, Planned]:
    work = plan_stages(params, params.method(method), photographs, Machines(*machines), sample=2)
    return {one.stage: one for one in (call() for call in work)}


def test_cores_share_the_photographs_and_a_training_is_on_one_machine(measured, tiny_params, made):
    one = reckoned(tiny_params, 1000, (1, 1))
    many = reckoned(tiny_params, 1000, (5, 4))
    assert tuple(one) == tuple(many) == ORDER
    for stage in ("cams", "seeds", "affinity", "propagate", "crf"):
        assert one[stage].each == 4  # 8 s of a core for 2 photographs
        assert (one[stage].seconds, many[stage].seconds) == (4000, 200)
        assert (one[stage].memory_mb, many[stage].memory_mb) == (500, 2000)
        assert one[stage].disk_mb == many[stage].disk_mb > 0
        assert many[stage].folder_mb_s == pytest.approx(20 * one[stage].folder_mb_s)
    for stage in ("cams-train", "affinity-train", "segtrain"):
        assert one[stage] == many[stage]
        assert one[stage].seconds == one[stage].pieces * one[stage].each
    files = [*made.folder("crf", "WSGCN-I").iterdir()]
    assert one["crf"].disk_mb == pytest.approx(sum(path.stat().st_size for path in files) / len(files) * 1000 / 1e6)
    assert totals(one.values())["seconds"] == sum(each.seconds for each in one.values())


def test_epochs_grow_with_the_photographs_and_updates_do_not(measured, tiny_params):
    params = changed(tiny_params, {"cams.irnet.train.steps": "2 epochs", "segtrain.deeplab.steps": 7})
    few, many = reckoned(params, 300, (1, 1)), reckoned(params, 3000, (1, 1))
    assert (few["cams-train"].pieces, many["cams-train"].pieces) == (200, 2000)  # of 3 photographs
    assert few["segtrain"].pieces == many["segtrain"].pieces == 7
    assert few["cams-train"].each == 1  # 8 updates were timed
    accumulating = reckoned(changed(params, {"segtrain.deeplab.accumulate": 3}), 300, (1, 1))
    assert accumulating["segtrain"].each == 3


def test_several_machines_wait_for_their_folder_where_that_takes_longer(measured, tiny_params, made):
    for path in made.folder("affinity", "I").iterdir():
        with path.open("ab") as file:
            file.truncate(10**8)
    found = reckoned(tiny_params, 1000, (8, 16))
    assert found["affinity"].bound == "the network to the folder"
    assert found["affinity"].seconds == pytest.approx(100_000 / 1250, rel=1e-3)  # 1000 files of 100 MB
    assert found["affinity"].folder_mb_s == pytest.approx(1250)
    assert found["crf"].bound == "cores"
    assert reckoned(tiny_params, 1000, (1, 16))["affinity"].bound == "cores"


def test_no_more_cores_than_photographs_count(measured, tiny_params):
    assert reckoned(tiny_params, 10, (8, 16))["crf"].seconds == 4


def test_each_stage_is_measured_by_its_own_work(measured, tiny_params):
    assert list(reckoned(tiny_params, 10, (1, 1))) == list(ORDER)
    assert [type(getattr(one, "__self__", one)) for one in measured] == [
        ShortTraining, Photographs, Seeds, ShortTraining, Photographs, Photographs, Photographs, ShortTraining,
    ]  # fmt: skip
    assert [one.stages for one in measured if isinstance(one, Photographs)] == [
        ("cams",), ("affinity",), ("propagate",), ("crf",),
    ]  # fmt: skip


def test_stages_and_seeds_really_run_and_leave_the_project_as_it_is(made, tiny_params, monkeypatch):
    monkeypatch.chdir(made.root.parent)
    before = {path: path.stat().st_mtime_ns for path in made.root.parent.rglob("*")}
    method = tiny_params.method("WSGCN-P")
    for stage in ("cams", "affinity", "propagate", "crf"):
        Photographs(tiny_params, method, 2, 1, (stage,))()()
    Seeds(tiny_params, method, 2)()()
    assert {path: path.stat().st_mtime_ns for path in made.root.parent.rglob("*")} == before


def test_a_project_that_has_not_run_is_told_what_to_run(measured, tiny_params, made):
    for path in made.folder("crf", "WSGCN-I").iterdir():
        path.unlink()
    with pytest.raises(DataError, match="crf/WSGCN-I is missing or empty: run `dvc repro crf@WSGCN-I`"):
        reckoned(tiny_params, 10, (1, 1))


def test_command_shows_a_line_a_stage_and_writes_json(measured, tiny_params):
    Path("params.yaml").write_text(yaml.safe_dump(tiny_params.model_dump(mode="json")))
    words = ["bench", "--plan", "118000", "--machines", "8x16", "--method", "IRNet", "--json", "plan.json"]
    done = CliRunner().invoke(app, words, env={"COLUMNS": "200"}, catch_exceptions=False)
    assert done.exit_code == 0
    lines = done.stdout.splitlines()
    assert [line.split()[0] for line in lines] == ["stage", *ORDER, "all"]
    assert "one machine: an update waits for the one before" in done.stdout
    written = json.loads(Path("plan.json").read_text())
    assert [one["stage"] for one in written["stages"]] == list(ORDER)
    assert written["all"]["seconds"] == pytest.approx(sum(one["seconds"] for one in written["stages"]))


def test_machines_without_a_plan_are_refused(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    done = CliRunner().invoke(app, ["bench", "--machines", "8x16"])
    assert isinstance(done.exception, UsageError)
    assert "--machines goes with --plan" in str(done.exception)


def test_table_says_nothing_of_what_is_little():
    row = Planned("cams", 0.5, 10, 5.0, 100.0, 2000.0, 3.0, "cores")
    table = plan_table([row, replace(row, stage="cams-train", disk_mb=0, folder_mb_s=None)])
    assert [*table.columns[4].cells] == ["0.1", "", "0.1"]
    assert [*table.columns[6].cells] == ["3", "", ""]
    assert asdict(row)["bound"] == "cores"
