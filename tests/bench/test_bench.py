"""What ``wsgcn bench`` measures: the right work, in a process of its own, without touching the project."""

import json
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import pytest
import yaml
from mlflow import MlflowClient
from typer.testing import CliRunner

from tests.bench import work
from tests.conftest import real_content
from wsgcn.bench import run
from wsgcn.bench.dense import DenseGcn, DenseWalk
from wsgcn.bench.inputs import Case, make_photograph, parse_case
from wsgcn.bench.kernels import KERNELS, Kernel, build_graph
from wsgcn.bench.measure import measure
from wsgcn.bench.numbers import kernel_numbers
from wsgcn.bench.run import Row
from wsgcn.bench.stages import Photographs
from wsgcn.bench.table import bench_table
from wsgcn.bench.traffic import edge_count
from wsgcn.cli import app
from wsgcn.errors import DataError, UsageError
from wsgcn.propagate.stage import MakeScores

SMALL = Case(6, 9, 5, 3)


def _stamps(folder):
    return {path: path.stat().st_mtime_ns for path in folder.rglob("*")}


@pytest.mark.parametrize(("grid", "expected"), [("94x125", (94, 125)), ("1x7", (1, 7))])
def test_grid_is_rows_and_columns(grid, expected):
    assert parse_case(grid, 160, 3).grid == expected


@pytest.mark.parametrize("grid", ["94", "94x", "0x3", "3x-1", "94 x 125", "1e2x3"])
def test_another_grid_is_one_line(grid):
    with pytest.raises(UsageError, match="94x125"):
        parse_case(grid, 160, 3)


def test_made_up_photograph_is_the_same_every_time():
    one, again = make_photograph(SMALL), make_photograph(SMALL)
    assert all((getattr(one, name) == getattr(again, name)).all() for name in vars(one))
    assert one.rgb_u8.shape == (24, 36, 3)
    assert one.features.shape == (5, 6, 9)
    assert one.cams.shape == (2, 6, 9)
    assert 0 <= one.cams.min() < one.cams.max() <= 1
    assert 0 <= one.boundary.min() < one.boundary.max() <= 1


@pytest.mark.parametrize("what", [what for what, recipe in KERNELS.items() if not recipe.gpu])
@pytest.mark.parametrize("case", [SMALL, Case(1, 1, 2, 2)], ids=["6x9", "1x1"])
def test_every_kernel_runs_twice(tiny_params, what, case):
    call = Kernel(what, case, kernel_numbers(tiny_params, tiny_params.method("WSGCN-I")))()
    call()
    call()


@pytest.mark.parametrize("twin", [DenseWalk, DenseGcn])
def test_every_dense_twin_runs(tiny_params, twin):
    twin(SMALL, kernel_numbers(tiny_params, tiny_params.method("WSGCN-I")))()()


@pytest.mark.parametrize(("height", "width", "radius"), [(6, 9, 3), (8, 5, 5), (7, 7, 2)])
def test_edges_are_counted_as_the_graph_has_them(height, width, radius):
    case = Case(height, width, 1, 2)
    assert edge_count(case, radius) == build_graph(make_photograph(case), radius).nnz


@pytest.fixture(scope="module")
def measured():
    """What came of each piece of work, two of which are measured at once: a process takes seconds to import torch."""
    work_by_name = {
        "small": partial(work.allocate, 8),
        "large": partial(work.allocate, 240),
        "killed": work.die,
        "failed": work.miss,
    }
    with ThreadPoolExecutor(2) as pool:
        return {name: pool.submit(measure, prepare, 2) for name, prepare in work_by_name.items()}


def test_measured_process_tells_time_and_memory(measured):
    small, large = measured["small"].result(), measured["large"].result()
    assert small.seconds < large.seconds
    assert 180 < (large.peak_mb - large.base_mb) - (small.peak_mb - small.base_mb) < 280


def test_killed_process_is_one_line(measured):
    with pytest.raises(UsageError, match=r"code 9.*smaller --grid"):
        measured["killed"].result()


def test_what_the_work_says_is_no_want_of_memory(measured):
    with pytest.raises(DataError, match=r"a\.npz is missing"):
        measured["failed"].result()


def test_table_leaves_out_what_nobody_measured():
    row = Row("gcn", "6x9", 0.5, 2.0, 300.0, 40.0)
    assert [column.header for column in bench_table([row]).columns] == [
        "what", "size", "s / image", "images / s", "peak MB", "own MB",
    ]  # fmt: skip
    compared = Row("gcn", "6x9", 0.5, 2.0, 300.0, 40.0, 0.25, 50.0)
    assert compared.ratio == 100
    assert len(bench_table([row, compared]).columns) == 9


@pytest.mark.parametrize("method", ["WSGCN-P", "PSA"])
def test_photographs_are_computed_and_leave_the_project_as_it_is(made, tiny_params, monkeypatch, method):
    computed = []

    def count(self, images):
        computed.extend(image.id for image in images)
        return whole(self, images)

    whole = MakeScores.compute_together
    monkeypatch.setattr(MakeScores, "compute_together", count)
    monkeypatch.chdir(made.root.parent)
    before = _stamps(made.root.parent)
    for _ in range(2):  # what the first one finished is not linked by the second
        Photographs(tiny_params, tiny_params.method(method), 2, 1)()()
    assert computed == ["t0", "t1"] * 2
    assert _stamps(made.root.parent) == before


@pytest.fixture
def planned(tmp_path, monkeypatch):
    """Stand in an empty folder, where the command would measure one row; what it was asked for comes into the list."""
    asked = []

    def plan(params, *words):
        asked.append((params, *words))
        return [lambda: Row("gcn", "6x9", 0.5, 2.0, 300.0, 40.0, 0.25, 50.0)]

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(run, "plan", plan)
    return asked


def test_command_outside_of_a_project_takes_the_papers_numbers(planned):
    done = CliRunner().invoke(app, ["bench", "--grid", "6x9", "--grid", "1x2", "--json", "rows.json"])
    assert done.exit_code == 0, done.output
    params, cases, repeats, dense, photographs, method, photo, trainings = planned[0]
    assert params.dataset.name == "voc12"
    assert [case.grid for case in cases] == [(6, 9), (1, 2)]
    assert (repeats, dense, photographs, method.name) == (3, False, 0, "WSGCN-I")
    assert (photo, trainings) == (None, False)
    (row,) = json.loads(Path("rows.json").read_text())["rows"]
    assert (row["what"], row["seconds"], row["peak_mb"], row["ratio"]) == ("gcn", 0.5, 300.0, 100.0)
    assert not Path("mlflow.db").exists()


def test_command_in_a_project_is_a_run_of_its_own_in_mlflow(planned):
    content = real_content() | {"tracking": {"uri": "sqlite:///here.db", "experiment": "mine"}}
    Path("params.yaml").write_text(yaml.safe_dump(content))
    words = ["--against", "dense", "--photographs", "7", "--variant", "P", "--propagation", "random-walk"]
    done = CliRunner().invoke(app, ["bench", *words])
    assert done.exit_code == 0, done.output
    assert planned[0][3:5] == (True, 7)
    assert planned[0][5].name == "PSA"
    client = MlflowClient("sqlite:///here.db")
    (found,) = client.search_runs([client.get_experiment_by_name("mine").experiment_id])
    assert found.info.run_name == "bench"
    assert found.info.status == "FINISHED"
    assert found.data.metrics["gcn 6x9/seconds"] == 0.5
    assert found.data.metrics["gcn 6x9/ratio"] == 100


def test_trainings_are_asked_for_instead_of_a_grid(planned):
    assert CliRunner().invoke(app, ["bench", "--trainings"]).exit_code == 0
    assert planned[0][1] == []
    assert planned[0][-1] is True


@pytest.mark.slow
def test_command_really_measures(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    words = ["--grid", "6x9", "--features", "5", "--repeats", "1", "--against", "dense", "--json", "rows.json"]
    assert CliRunner().invoke(app, ["bench", *words]).exit_code == 0
    rows = {row["what"]: row for row in json.loads(Path("rows.json").read_text())["rows"]}
    assert rows.keys() >= {what for what, recipe in KERNELS.items() if not recipe.gpu}
    assert all(row["seconds"] > 0 and row["peak_mb"] > row["own_mb"] for row in rows.values())
    assert {what for what, row in rows.items() if row["ratio"]} == {"random-walk", "gcn"}
