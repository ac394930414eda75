"""The MLflow run of a method: complete, without anything twice, and filled as its stages run."""

import os
import subprocess

import pytest
from mlflow.exceptions import MlflowException

from tests.conftest import changed
from tests.tracking.conftest import (
    LABEL_NUMBERS,
    LABEL_SCORES,
    NAMES,
    NETWORK_SCORES,
    check_complete,
    check_labels,
    files,
    history,
    numbers_of,
    runs,
    write_labels,
    write_network,
)
from wsgcn.store.files import write_json, write_table
from wsgcn.store.paths import Artifacts
from wsgcn.tracking import complete
from wsgcn.tracking.complete import add_numbers, complete_run
from wsgcn.tracking.connection import TIMEOUT
from wsgcn.tracking.contents import LABELS, NETWORK, git_tags
from wsgcn.tracking.recorded import RECORDED
from wsgcn.tracking.run import Run

WANTED = {
    "scores/labels.json",
    "scores/network.json",
    "tables/labels_per_class.csv",
    "tables/network_per_class.csv",
    "tables/history.csv",
    "tables/cams_history.csv",
    "tables/affinity_history.csv",
    "tables/losses.csv",
    "tables/losses.json",
    "pictures/losses.png",
    "panels/labels/t0.png",
    "panels/network/v0.png",
    "model/MLmodel",
}


def test_everything_on_disk_is_in_the_run(client, params, artifacts, method, warnings):
    complete_run(params, artifacts, method, warnings.append)
    (run,) = runs(client, params)
    check_complete(client, run)
    entry = f"propagate.{method.propagation_name}"
    assert run.data.params[f"{entry}.entropy_weight"] == "2.0"
    assert run.data.params[f"{entry}.objective"] == "reference"
    assert run.data.params["runtime.seed"] == "42"
    assert run.data.params["method.propagation"] == method.propagation_name
    found = files(client, run)
    assert {name for name in found if not name.startswith("model/")} | {"model/MLmodel"} == WANTED
    assert "model/MLmodel" in found
    table = client.download_artifacts(run.info.run_id, "tables/network_per_class.csv")
    with open(table) as file:
        assert file.read() == "class,seg_iou\ncat,0.25\n"
    assert warnings == []


def test_nothing_is_there_twice(client, params, artifacts, method, warnings):
    for _ in range(2):
        complete_run(params, artifacts, method, warnings.append)
    (run,) = runs(client, params)
    client.set_tag(run.info.run_id, RECORDED, "0123456789abcdef")  # as an older version wrote it
    complete_run(params, artifacts, method, warnings.append)
    (run,) = runs(client, params)
    check_complete(client, run)
    assert warnings == []


def test_a_run_that_holds_the_files_is_left_alone(client, params, artifacts, method, warnings, monkeypatch):
    complete_run(params, artifacts, method, warnings.append)
    monkeypatch.setattr(complete, "_log_files", None)  # a call would fail
    complete_run(params, artifacts, method, warnings.append)
    complete_run(params, artifacts, method, warnings.append, [LABELS])
    complete_run(params, artifacts, method, warnings.append, [NETWORK])
    assert warnings == []


def test_the_network_is_added_to_the_run_of_its_labels(client, params, project, method, warnings):
    artifacts = Artifacts(project / "artifacts")
    write_labels(artifacts)
    complete_run(params, artifacts, method, warnings.append)
    (run,) = runs(client, params)
    check_labels(client, run)
    assert run.info.status == "FINISHED"
    assert numbers_of(run) == LABEL_NUMBERS
    assert not [name for name in files(client, run) if name.startswith("model")]
    assert warnings == []  # no network was trained yet: nothing is missing
    write_network(artifacts)
    complete_run(params, artifacts, method, warnings.append)
    (both,) = runs(client, params)
    assert both.info.run_id == run.info.run_id
    assert both.data.tags[RECORDED] != run.data.tags[RECORDED]
    check_complete(client, both)
    assert warnings == []


@pytest.mark.parametrize("first", [LABELS, NETWORK])
def test_parts_in_any_order_make_the_same_run(client, params, artifacts, method, warnings, first):
    second = {LABELS: NETWORK, NETWORK: LABELS}[first]
    complete_run(params, artifacts, method, warnings.append, [first])
    (run,) = runs(client, params)
    assert ("seg_miou" in run.data.metrics) == (first == NETWORK)
    assert ("pseudo_miou" in run.data.metrics) == (first == LABELS)
    complete_run(params, artifacts, method, warnings.append, [second])
    (run,) = runs(client, params)
    check_complete(client, run)
    assert set(files(client, run)) >= WANTED


def test_without_masks_the_network_is_there_all_the_same(client, params, artifacts, method, warnings):
    for stage, scores in (("evaluate-labels", LABEL_SCORES), ("evaluate", NETWORK_SCORES)):
        kept = {"method", "classes", "seconds_per_image", "images", "val_images"}
        write_json(artifacts.scores(stage, method.name), {name: scores[name] for name in kept & scores.keys()})
    complete_run(params, artifacts, method, warnings.append)
    (run,) = runs(client, params)
    assert numbers_of(run).keys() == {"seconds_per_image/propagate", "seconds_per_image/crf", "images", "val_images"}
    assert "model/MLmodel" in files(client, run)
    assert warnings == []


def test_a_method_of_which_nothing_ran_has_no_run(client, params, project, method, warnings):
    complete_run(params, Artifacts(project / "artifacts"), method, warnings.append)
    assert runs(client, params) == []
    assert warnings == []


def test_numbers_that_changed_replace_the_older(client, params, artifacts, method, warnings):
    complete_run(params, artifacts, method, warnings.append)
    write_json(artifacts.scores("evaluate", method.name), NETWORK_SCORES | {"seg_miou": 0.25})
    complete_run(params, artifacts, method, warnings.append)
    (run,) = runs(client, params)
    assert run.data.metrics["seg_miou"] == 0.25


def test_numbers_of_two_methods_are_added_to_the_run_of_one(client, params, artifacts, method, warnings):
    complete_run(params, artifacts, method, warnings.append)
    (before,) = runs(client, params)
    for value in (0.25, 0.125):
        add_numbers(params, method, {"pseudo_miou_minus_IRNet": value, "pseudo_miou_minus_IRNet_low": 0.0625}, print)
        add_numbers(params, method, {}, print)
        complete_run(params, artifacts, method, warnings.append)
    (run,) = runs(client, params)
    added = {"pseudo_miou_minus_IRNet": 0.125, "pseudo_miou_minus_IRNet_low": 0.0625}
    assert run.data.metrics == before.data.metrics | added
    assert run.data.tags == before.data.tags
    assert run.info.status == "FINISHED"
    assert len(history(client, run, "pseudo_miou_minus_IRNet_low")) == 1
    assert warnings == []


def test_numbers_are_lost_with_one_line_where_the_store_is_away(project, params, method, warnings):
    away = changed(params, {"tracking.uri": "sqlite:////proc/no/mlflow.db"})
    for _ in range(2):
        add_numbers(away, method, {"pseudo_miou_minus_IRNet": 0.25}, warnings.append)
    assert len(warnings) == 1


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("history", b"step,loss,lr\n1,\xff,0.1\n", "is no table"),
        ("history", b"step,loss,lr\n1.5,2,0.1\n", "is no history of a training"),
        ("history", b"step,loss,lr\n1,2\n", "is no table"),
        ("history", b"a,b\n1,2\n", "is no history of a training"),
        ("losses", b"total\n1\n", "has no losses by photograph"),
        ("losses", b"id,total\nx,nan\n", "not finite"),
        ("losses", b"id,total\nx,high\n", "has no numbers in total"),
        ("scores", b"[" * 100_000, "is not JSON"),
        ("scores", b"null", "does not hold values by name"),
    ],
)
def test_a_damaged_file_is_a_warning_that_names_it_and_leaves_no_run_behind(
    client, params, artifacts, method, warnings, name, content, said
):
    path = {
        "history": artifacts.history("segtrain", method.name),
        "losses": artifacts.losses(method.name),
        "scores": artifacts.scores("evaluate-labels", method.name),
    }[name]
    path.write_bytes(content)
    complete_run(params, artifacts, method, warnings.append)
    (told,) = warnings
    assert said in told
    assert str(path) in told
    assert "\n" not in told
    assert [run.info.status for run in runs(client, params)] in ([], ["FINISHED"])


def test_curves_that_changed_make_a_new_run(client, params, artifacts, method, warnings):
    complete_run(params, artifacts, method, warnings.append)
    (old,) = runs(client, params)
    client.log_metric(old.info.run_id, "gcn_fg", 99.0, step=77)
    client.set_tag(old.info.run_id, RECORDED, "something else")
    complete_run(params, artifacts, method, warnings.append)
    named = {run.info.run_name: run for run in runs(client, params)}
    assert named.keys() == {"WSGCN-I", "WSGCN-I (superseded)"}
    check_complete(client, named["WSGCN-I"])
    complete_run(params, artifacts, method, warnings.append)
    assert len(runs(client, params)) == 2


def test_a_network_trained_anew_takes_the_labels_along(client, params, artifacts, method, warnings):
    complete_run(params, artifacts, method, warnings.append)
    write_table(artifacts.history("segtrain", method.name), ("step", "loss", "lr"), [(10, 7.5, 0.02)])
    complete_run(params, artifacts, method, warnings.append)
    named = {run.info.run_name: run for run in runs(client, params)}
    assert named.keys() == {"WSGCN-I", "WSGCN-I (superseded)"}
    check_labels(client, named["WSGCN-I"])
    assert named["WSGCN-I"].data.metrics["pseudo_miou_crf"] == 0.625
    assert set(files(client, named["WSGCN-I"])) >= WANTED


def test_run_of_an_experiment_has_its_name(client, params, artifacts, method, warnings, monkeypatch):
    monkeypatch.setenv("DVC_EXP_NAME", "without-entropy")
    complete_run(params, artifacts, method, warnings.append)
    (run,) = runs(client, params)
    assert run.info.run_name == "WSGCN-I (without-entropy)"


def test_commit_is_tagged(project):
    git = ["git", "-c", "user.name=a", "-c", "user.email=a@b", "-c", "commit.gpgsign=false"]
    subprocess.run([*git, "init", "-q"], check=True)
    subprocess.run([*git, "commit", "-q", "--allow-empty", "-m", "first"], check=True)
    commit = git_tags()["git_commit"]
    assert len(commit) == 40


def test_missing_checkpoint_is_named(client, params, artifacts, method, warnings):
    artifacts.checkpoint("segtrain", method.name).unlink()
    complete_run(params, artifacts, method, warnings.append)
    (run,) = runs(client, params)
    check_complete(client, run)
    assert len(warnings) == 1
    assert "checkpoint.pt is missing" in warnings[0]


def test_missing_losses_are_named(client, params, artifacts, method, warnings):
    artifacts.losses(method.name).unlink()
    complete_run(params, artifacts, method, warnings.append)
    (run,) = runs(client, params)
    assert not [name for name in run.data.metrics if name.startswith("gcn_")]
    assert len(warnings) == 1
    assert f"{artifacts.losses(method.name)} is missing" in warnings[0]


def test_broken_scores_are_named(client, params, artifacts, method, warnings):
    artifacts.scores("evaluate", method.name).write_text("{")
    complete_run(params, artifacts, method, warnings.append)
    assert len(warnings) == 1
    assert "scores.json is not JSON" in warnings[0]


def test_propagation_without_losses_has_no_curves_of_them(client, params, artifacts, warnings):
    method = params.method("IRNet")
    write_labels(artifacts, method.name)
    complete_run(params, artifacts, method, warnings.append)
    (run,) = runs(client, params)
    assert run.info.run_name == "IRNet"
    assert not [name for name in run.data.metrics if name.startswith(tuple(f"gcn_{name}" for name in NAMES))]
    assert warnings == []


# ---------------------------------------------------------------- kills, outages and two processes


def test_a_run_that_a_kill_left_open_is_closed(client, params, artifacts, method, warnings):
    complete_run(params, artifacts, method, warnings.append)
    (run,) = runs(client, params)
    client.update_run(run.info.run_id, status="RUNNING")
    complete_run(params, artifacts, method, warnings.append)
    check_complete(client, runs(client, params)[0])


def test_an_interrupt_closes_the_run_until_it_is_completed(client, params, artifacts, method, warnings, monkeypatch):
    def interrupt(*given):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("wsgcn.tracking.complete._log_part", interrupt)
        with pytest.raises(KeyboardInterrupt):
            complete_run(params, artifacts, method, warnings.append)
    (run,) = runs(client, params)
    assert run.info.status == "KILLED"
    complete_run(params, artifacts, method, warnings.append)
    client.set_terminated(run.info.run_id, "FAILED")  # by a stage that was run again
    complete_run(params, artifacts, method, warnings.append)
    (run,) = runs(client, params)
    check_complete(client, run)
    assert warnings == []


def test_two_processes_that_begin_together_share_a_run(client, params, method, monkeypatch):
    first, find = Run(params, method), Run._find
    looks = iter([lambda run: None, find])  # the second looks before the first has made it, and once more afterwards
    monkeypatch.setattr(Run, "_find", lambda run: next(looks)(run))
    assert Run(params, method).id == first.id
    (run,) = runs(client, params)
    assert run.info.run_id == first.id


def test_parameters_that_two_processes_log_at_once_are_there_once(client, params, method, monkeypatch):
    first, second = Run(params, method), Run(params, method)
    log_params = Run._log_params

    def other_is_faster(run):
        monkeypatch.setattr(Run, "_log_params", log_params)
        first.describe("RUNNING")
        raise MlflowException("UNIQUE constraint failed: params.key, params.run_uuid")

    monkeypatch.setattr(Run, "_log_params", other_is_faster)
    second.describe("RUNNING")
    (run,) = runs(client, params)
    assert run.data.params["runtime.seed"] == "42"


def test_a_server_may_take_its_time_for_files(client, params, artifacts, method, warnings, monkeypatch):
    monkeypatch.setenv(TIMEOUT, "10")
    seen, log = [], complete._log_files
    monkeypatch.setattr(complete, "_log_files", lambda *given: (seen.append(int(os.environ[TIMEOUT])), log(*given)))
    complete_run(params, artifacts, method, warnings.append)
    assert min(seen) >= 120
    assert os.environ[TIMEOUT] == "10"
    assert warnings == []


# ---------------------------------------------------------------- files of other parameters


def test_a_network_of_other_parameters_is_left_out(client, params, artifacts, method, warnings):
    complete_run(params, artifacts, method, warnings.append)
    (first,) = runs(client, params)
    new = changed(params, {f"propagate.{method.propagation_name}.lr": 0.125})
    write_json(artifacts.scores("evaluate-labels", method.name), LABEL_SCORES | {"pseudo_miou": 0.75})
    complete_run(new, artifacts, new.method(method.name), warnings.append, [LABELS])
    assert complete_run(new, artifacts, new.method(method.name), warnings.append) == ("evaluate",)
    (second,) = (run for run in runs(client, params) if run.info.run_id != first.info.run_id)
    assert second.data.metrics["pseudo_miou"] == 0.75
    assert not [name for name in second.data.metrics if name.startswith("seg_")]
    assert not [name for name in files(client, second) if name.startswith("model")]
    (warning,) = warnings
    assert warning.startswith(f"{artifacts.folder('evaluate', method.name)} was made with other parameters")
    # The stage itself is believed, also if it found the very same.
    complete_run(new, artifacts, new.method(method.name), warnings.append, [NETWORK])
    assert complete_run(new, artifacts, new.method(method.name), warnings.append) == ()
    assert len(warnings) == 1


def test_parameters_changed_without_running_anything_make_no_run(client, params, artifacts, method, warnings):
    complete_run(params, artifacts, method, warnings.append)
    new = changed(params, {"runtime.seed": 43})
    left_out = complete_run(new, artifacts, new.method(method.name), warnings.append)
    assert left_out == ("evaluate-labels", "evaluate")
    assert len(runs(client, params)) == 1
    assert len(warnings) == 2


def test_labels_belong_to_every_network_trained_on_them(client, params, artifacts, method, warnings):
    complete_run(params, artifacts, method, warnings.append)
    new = changed(params, {"segtrain.deeplab.lr": 0.5, "evaluate.seg_flip": False})
    assert complete_run(new, artifacts, new.method(method.name), warnings.append) == ("evaluate",)
    assert len(runs(client, params)) == 2
    check_labels(client, next(run for run in runs(client, params) if "seg_miou" not in run.data.metrics))


def test_numbers_of_the_labels_alone_leave_the_network(client, params, artifacts, method, warnings):
    complete_run(params, artifacts, method, warnings.append)
    new = changed(params, {"evaluate.cam_background": 0.45})
    assert complete_run(new, artifacts, new.method(method.name), warnings.append) == ("evaluate-labels",)
    assert "pseudo_miou" not in next(iter(runs(client, params))).data.metrics
