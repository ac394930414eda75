"""The command line: options arrive in the stages, errors are one line, ``--help`` is light."""

from __future__ import annotations

import errno
import importlib
import os
import signal
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import yaml
from PIL import Image
from typer.main import get_command
from typer.testing import CliRunner

from tests import chain
from tests.conftest import ROOT, real_content
from wsgcn import __version__, cli, project
from wsgcn.cli import init, tools
from wsgcn.errors import DataError, StageError, UsageError
from wsgcn.nets.registry import BACKBONES
from wsgcn.params import load_params
from wsgcn.preset import PRESETS
from wsgcn.runtime.progress import QUIET
from wsgcn.runtime.shard import Shard
from wsgcn.stages import STAGES as ALL_STAGES
from wsgcn.store.counts import PhotographCounts, save_counts
from wsgcn.store.finished import FinishedWork
from wsgcn.store.index import save_index
from wsgcn.store.paths import Artifacts
from wsgcn.tracking.finished import FinishedRun
from wsgcn.tracking.parameters import flat_params
from wsgcn.vocabulary import PRESET_FOLDER
from wsgcn.weights.names import NETWORKS

GROUP = get_command(cli.app).commands
COMMANDS = {name: one for name, one in GROUP.items() if name != "weights"} | {
    f"weights {name}": one for name, one in GROUP["weights"].commands.items()
}
STAGES = tuple(dict.fromkeys(entry.stage for entry in chain.entries()))
BY_METHOD = tuple(name for name, one in ALL_STAGES.items() if one.runs_for == "method")
SHARDED = ("cams", "affinity", "propagate", "crf")
BY_VARIANT = tuple(name for name, one in ALL_STAGES.items() if one.runs_for == "variant")
PARAMS = load_params(ROOT / "params.yaml")
SMALL = yaml.safe_dump(chain.shrunk(real_content()), sort_keys=False)

each_command = pytest.mark.parametrize("command", COMMANDS)


@pytest.fixture
def here(tmp_path, monkeypatch):
    """A project folder of a few pictures, the one we stand in."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "params.yaml").write_text(SMALL)
    return tmp_path


@pytest.fixture
def tracked(monkeypatch):
    """Stands for MLflow; holds what was asked of it."""
    asked = SimpleNamespace(live=[], completed=[], logged=[], runs=[], left_out={})

    @contextmanager
    def live(params, method, warn):
        asked.live.append(method.name)
        yield lambda metrics, step: asked.logged.append((dict(metrics), step))

    def complete_run(params, artifacts, method, warn, parts=None):
        asked.completed.append((method.name, parts))
        return asked.left_out.get(method.name, ())

    monkeypatch.setattr("wsgcn.tracking.live.live", live)
    monkeypatch.setattr("wsgcn.tracking.live.live_means", live)
    monkeypatch.setattr("wsgcn.tracking.complete.complete_run", complete_run)
    monkeypatch.setattr("wsgcn.tracking.finished.finished_runs", lambda params, warn: asked.runs)
    return asked


@pytest.fixture
def received(monkeypatch):
    """Replaces what the stages do by a note of what they are given."""
    calls = []

    def replace(stage, value=None):
        module = importlib.import_module(ALL_STAGES[stage].module)
        monkeypatch.setattr(module, chain.FUNCTIONS[stage], lambda *given: calls.append((stage, *given)) or value)

    for stage in (*BY_METHOD, *BY_VARIANT):
        replace(stage)
    replace("dataset", ["class 'ring' is shown by no photograph"])
    return calls


def run_main(monkeypatch, capsys, *words):
    """Exit code, output and error stream of the program ``wsgcn``."""
    monkeypatch.setattr(sys, "argv", ["wsgcn", *words])
    with pytest.raises(SystemExit) as caught:
        cli.main()
    shown = capsys.readouterr()
    return caught.value.code or 0, shown.out, shown.err


# ---------------------------------------------------------------- help


def test_a_command_for_each_stage_and_those_beside_the_pipeline():
    beside = ["cams-import", "predict", "show", "export", "export-model", "clean", "bench", "weights"]
    assert list(GROUP) == ["init", *STAGES, *beside]
    assert ("code", *ALL_STAGES) == STAGES


@each_command
def test_every_command_and_option_explains_itself(command):
    done = CliRunner().invoke(cli.app, [*command.split(), "--help"])
    assert done.exit_code == 0
    one = COMMANDS[command]
    assert one.help
    assert one.help.splitlines()[0] in " ".join(done.output.split())
    assert all(parameter.help for parameter in one.params)
    shown, _, example = one.help.rpartition("\n\nExample: ")
    assert shown
    assert example.startswith(f"wsgcn {command}")


def test_choices_are_those_of_the_registries():
    assert list(init.PresetName) == list(PRESETS)
    assert list(tools.PublishedName) == [*(one for entry in BACKBONES.values() for one in entry.published), *NETWORKS]
    shown = {
        name: CliRunner().invoke(cli.app, [*name.split(), "--help"], env={"COLUMNS": "1000"}).output
        for name in COMMANDS
    }
    assert f"<{'|'.join(init.PresetName)}>" in shown["init"]
    assert f"<{'|'.join(tools.PublishedName)}>" in shown["weights import"]


@pytest.mark.parametrize("preset", PRESETS)
def test_every_preset_is_there(preset):
    assert (PRESET_FOLDER / f"{preset}.yaml").is_file()


@pytest.mark.parametrize("command", GROUP)
def test_readme_or_docs_know_every_command(command):
    texts = [path.read_text() for path in (ROOT / "README.md", *(ROOT / "docs").glob("*.md"))]
    assert any(command in text for text in texts)


def test_help_imports_nothing_slow():
    code = (
        "import sys\nsys.argv = ['wsgcn', '--help']\nfrom wsgcn.cli import main\n"
        "try:\n main()\nexcept SystemExit as end:\n assert not end.code\n"
        "slow = {'torch', 'torch_geometric', 'mlflow', 'scipy', 'pydensecrf', 'dvc', 'numpy', 'pandas', 'pydantic'}\n"
        "print('LOADED', sorted(slow & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "LOADED []"


def test_version_and_module_entry():
    done = subprocess.run([sys.executable, "-m", "wsgcn", "--version"], capture_output=True, text=True, check=True)
    assert done.stdout == f"wsgcn {__version__}\n"


# ---------------------------------------------------------------- options arrive


@pytest.mark.parametrize("method", PARAMS.all_methods(), ids=list(PARAMS.methods))
@pytest.mark.parametrize("stage", BY_METHOD)
def test_method_arrives(here, received, tracked, stage, method):
    for words in (
        ["--method", method.name],
        ["--variant", method.variant.name, "--propagation", method.propagation.kind],
        ["--variant", method.variant.name, "--propagation", method.propagation_name],
    ):
        received.clear()
        tracked.live.clear()
        tracked.logged.clear()
        done = CliRunner().invoke(cli.app, [stage, *words], catch_exceptions=False)
        assert done.exit_code == 0
        ((name, params, artifacts, given, *rest),) = received
        assert params == load_params(here / "params.yaml")
        assert (name, given, artifacts) == (stage, params.method(method.name), Artifacts())
        curves = stage in ("propagate", "segtrain")
        assert tracked.live == ([method.name] if curves else [])
        if curves:
            rest[0]({"seg_loss": 0.5}, 3)
            assert tracked.logged == [({"seg_loss": 0.5}, 3)]


@pytest.mark.parametrize("stage", BY_METHOD)
def test_propagation_is_the_papers_unless_asked_otherwise(here, received, tracked, stage):
    assert CliRunner().invoke(cli.app, [stage, "--variant", "P"]).exit_code == 0
    assert received[0][3].name == "WSGCN-P"


@pytest.mark.parametrize("variant", PARAMS.variants)
@pytest.mark.parametrize("stage", BY_VARIANT)
def test_variant_arrives(here, received, stage, variant):
    assert CliRunner().invoke(cli.app, [stage, "--variant", variant]).exit_code == 0
    params = load_params(here / "params.yaml")
    assert received == [(stage, params, Artifacts(), params.variant(variant), *([None] if stage in SHARDED else []))]


@pytest.mark.parametrize("stage", SHARDED)
def test_a_shard_arrives_and_shows_no_curves(here, received, tracked, stage):
    words = ["--method", "WSGCN-I"] if stage in BY_METHOD else ["--variant", "I"]
    done = CliRunner().invoke(cli.app, [stage, *words, "--shard", "3/16"], catch_exceptions=False)
    assert done.exit_code == 0
    assert [call[-1] for call in received] == [Shard(3, 16)]
    assert tracked.live == []
    assert "shard 3/16 of artifacts" in done.stdout
    assert "the same without --shard" in done.stdout


def test_what_is_no_shard_is_refused_before_any_work(here, received, monkeypatch, capsys):
    code, _, err = run_main(monkeypatch, capsys, "crf", "--method", "IRNet", "--shard", "17/16")
    assert code == 2
    assert err.startswith("error: --shard 17/16: give a part and the number of parts")
    assert received == []


WITH_WORKERS = ("cams", "affinity-train", "affinity", "propagate", "crf", "evaluate")


@pytest.mark.parametrize("stage", [*BY_VARIANT, *BY_METHOD])
def test_a_fork_server_starts_for_a_stage_with_workers_and_for_no_other(here, received, tracked, monkeypatch, stage):
    started = []
    monkeypatch.setattr("wsgcn.runtime.cores.start_fork_server", lambda *given: started.append(given))
    assert CliRunner().invoke(cli.app, [stage, "--variant", "P"], catch_exceptions=False).exit_code == 0
    workers = load_params(here / "params.yaml").runtime.workers
    assert started == ([(ALL_STAGES[stage].module, workers)] if stage in WITH_WORKERS else [])


def test_any_names_arrive(here, received, tracked):
    content = chain.shrunk(real_content())
    content["variants"]["X-2"] = {"cams": "psa", "affinity": "boundary", "after": "dataset/index.json"}
    content["methods"]["my_method"] = {"variant": "X-2", "propagation": "walk-i", "crf": "gcn", "segtrain": "deeplab"}
    params = chain.write_params(here, content)
    for words in (["--method", "my_method"], ["--variant", "X-2", "--propagation", "random-walk"]):
        assert CliRunner().invoke(cli.app, ["crf", *words]).exit_code == 0
    assert CliRunner().invoke(cli.app, ["cams", "--variant", "X-2"]).exit_code == 0
    assert [call[3] for call in received] == [params.method("my_method")] * 2 + [params.variant("X-2")]


def test_code_is_noted(here):
    assert CliRunner().invoke(cli.app, ["code"], catch_exceptions=False).exit_code == 0
    noted = {path.relative_to("artifacts/code").as_posix() for path in Path("artifacts/code").rglob("*.txt")}
    assert {"dataset/dataset.txt", "cams/I.txt", "crf/WSGCN-I.txt", "report/report.txt"} <= noted
    assert {name.partition("/")[0] for name in noted} == set(ALL_STAGES)


def test_clean_deletes_what_nothing_else_holds(here):
    store = FinishedWork(Path(".wsgcn"))
    Path("used.bin").write_bytes(b"u" * 1000)
    store.keep("aa11", Path("used.bin"), 1)
    Path("old.bin").write_bytes(b"o" * 2_000_000)
    store.keep("bb22", Path("old.bin"), 1)
    Path("old.bin").unlink()
    done = CliRunner().invoke(cli.app, ["clean"], catch_exceptions=False)
    assert done.stdout == "2 MB of finished work are deleted from .wsgcn.\n"
    assert store.note("bb22") is None
    assert store.note("aa11") is not None
    assert Path("used.bin").exists()


def test_init_tells_what_is_missing_and_how_to_go_on(tmp_path, monkeypatch):
    monkeypatch.setattr(project, "_dvc", lambda folder, *words: (folder / ".dvc").mkdir())
    done = CliRunner().invoke(cli.app, ["init", str(tmp_path / "made"), "--preset", "voc12"], catch_exceptions=False)
    assert done.exit_code == 0
    go_on = f"cd {tmp_path / 'made'} && dvc repro"
    assert done.stdout == f"{tmp_path / 'made'} is made, but 4 things are missing (see above) before {go_on}\n"
    lines = done.stderr.splitlines()
    assert all(line.startswith("warning: ") for line in lines)
    for part in ("data/VOCdevkit/VOC2012 is missing", "weights/resnet-38.pt is missing", "is in no git repository"):
        assert sum(part in line for line in lines) == 1
    assert "ready" not in done.output


@pytest.fixture
def photographs(tmp_path, monkeypatch):
    """Two cats and two dogs, in a folder each, and a quick ``dvc init``."""
    monkeypatch.setattr(project, "_dvc", lambda folder, *words: (folder / ".dvc").mkdir())
    for number, name in enumerate(("cat/a", "cat/b", "dog/c", "dog/d")):
        path = tmp_path / "photographs" / f"{name}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (8, 6), (number, 0, 0)).save(path)
    return tmp_path / "photographs"


def test_init_shows_what_it_found_among_own_photographs_and_makes_a_project(photographs, tmp_path):
    words = ["init", str(tmp_path / "made"), "--images", str(photographs), "--copy"]
    done = CliRunner().invoke(cli.app, words, catch_exceptions=False)
    assert done.exit_code == 0
    assert "cat (2), dog (2)" in " ".join(done.stdout.split())
    params = load_params(tmp_path / "made" / "params.yaml")
    assert params.dataset.classes == ("background", "cat", "dog")
    rows = (tmp_path / "made" / "photographs.csv").read_text().splitlines()
    assert rows[0] == "image,labels,splits"
    assert sorted(row.rpartition(",")[2] for row in rows[1:]) == ["train", "train", "train", "val"]
    copied = sorted(path.name for path in (tmp_path / "made" / params.dataset.root).rglob("*.png"))
    assert copied == ["a.png", "b.png", "c.png", "d.png"]


def test_init_makes_nothing_of_photographs_that_contradict_themselves(photographs, tmp_path):
    (photographs / "dog" / "d.png").write_bytes((photographs / "cat" / "a.png").read_bytes())
    done = CliRunner().invoke(cli.app, ["init", str(tmp_path / "made"), "--images", str(photographs)])
    assert isinstance(done.exception, DataError)
    assert str(done.exception).startswith("nothing was made; mend this first: copies with other labels (1): keep one")
    assert not (tmp_path / "made").exists()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([], "choose --preset, one of demo, voc12, voc12-mobile, or give --images of your own"),
        (["--labels", "x.csv", "--preset", "demo"], "go with --images"),
        (["--images", "x", "--data", "y"], "two datasets"),
    ],
)
def test_init_refuses_what_does_not_go_together(tmp_path, words, message):
    done = CliRunner().invoke(cli.app, ["init", str(tmp_path / "made"), *words])
    assert isinstance(done.exception, UsageError)
    assert message in str(done.exception)
    assert not (tmp_path / "made").exists()


def test_warnings_of_the_dataset_are_shown_and_are_no_error(here, received):
    done = CliRunner().invoke(cli.app, ["dataset"])
    assert done.exit_code == 0
    assert received == [("dataset", load_params(here / "params.yaml"), Artifacts())]
    assert done.stderr == "warning: class 'ring' is shown by no photograph\n"


def test_report_completes_the_methods_that_have_scores(here, tracked, monkeypatch):
    def write_report(params, artifacts, label_runs, network_runs, left_out):
        return f"table of {artifacts.root} and {len(label_runs)}, {len(network_runs)} of {sorted(left_out)}"

    monkeypatch.setattr("wsgcn.report.stage.write_report", write_report)
    for stage, name in (("evaluate-labels", "IRNet"), ("evaluate-labels", "WSGCN-P"), ("evaluate", "WSGCN-P")):
        Artifacts().scores(stage, name).parent.mkdir(parents=True)
        Artifacts().scores(stage, name).write_text("{}")
    params = load_params(Path("params.yaml"))
    alike = flat_params(params, params.method("WSGCN-I"))
    values = {
        "propagate.gcn-i.entropy_weight": "0.0",
        "segtrain.deeplab.min_confidence": "0.5",
        "propagate.gcn-i.steps": "1",
    }
    changes = [{}, *({name: value} for name, value in values.items())]
    assert all(change.keys() <= alike.keys() for change in changes)
    tracked.runs = [FinishedRun("WSGCN-I", alike | change, {}) for change in changes]
    done = CliRunner().invoke(cli.app, ["report"], catch_exceptions=False)
    assert done.stdout.startswith("table of artifacts and 3, 2 of ['IRNet', 'WSGCN-P']\n")
    assert os.path.join("report", "index.html") in done.stdout
    assert sorted(tracked.completed) == [("IRNet", None), ("WSGCN-P", None)]


@pytest.mark.parametrize(("stage", "part"), [("evaluate-labels", "labels"), ("evaluate", "network")])
def test_evaluations_complete_their_part_of_the_run(here, received, tracked, stage, part):
    assert CliRunner().invoke(cli.app, [stage, "--variant", "P"]).exit_code == 0
    assert [call[0] for call in received] == [stage]
    assert tracked.completed == [("WSGCN-P", [part])]


def write_labels(name, hits):
    """What ``evaluate-labels`` leaves of a method, as far as differences need it."""
    found = np.full((3, 2, 3), (hits, 100, 100), dtype=np.int32)
    save_counts(
        Artifacts().photographs(name), PhotographCounts(("a", "b", "c"), ("background", "cat"), {"pseudo": found})
    )
    Artifacts().scores("evaluate-labels", name).write_text("{}")


SENTENCE = "mIoU of WSGCN-I's labels less IRNet's, in points with 95 % intervals over photographs: before the CRF +31.1"


def test_evaluated_labels_are_compared_with_what_is_there(here, received, tracked):
    write_labels("IRNet", 60)
    write_labels("PSA", 60)
    command = ["evaluate-labels", "--method", "WSGCN-I"]
    told = "artifacts/evaluate-labels/WSGCN-I is complete after 0 s; next: wsgcn segtrain --method WSGCN-I\n"
    assert CliRunner().invoke(cli.app, command).output == told
    write_labels("WSGCN-I", 85)
    assert CliRunner().invoke(cli.app, command).output == f"{told}{SENTENCE} (+31.1 to +31.1), which excludes 0.\n"
    assert CliRunner().invoke(cli.app, ["evaluate-labels", "--method", "PSA"]).output == told.replace("WSGCN-I", "PSA")
    Artifacts().photographs("IRNet").write_bytes(b"no archive")
    done = CliRunner().invoke(cli.app, command)
    assert done.exit_code == 0  # what this stage made is whole
    assert done.stderr.startswith(f"warning: {Artifacts().photographs('IRNet')} is broken")


def test_dvc_knows_what_comes_next_and_quiet_says_nothing(here, received, tracked, monkeypatch):
    monkeypatch.setenv("DVC_STAGE", "crf@WSGCN-I")
    done = CliRunner().invoke(cli.app, ["crf", "--variant", "I"])
    assert done.output == "artifacts/crf/WSGCN-I is complete after 0 s\n"
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv(QUIET, "")  # the option sets it for the whole process
        assert CliRunner().invoke(cli.app, ["-q", "crf", "--variant", "I"]).output == ""


def test_verbose_shows_where_an_error_was_raised(here, monkeypatch, capsys):
    def fail(*given):
        raise DataError("x.png is broken")

    monkeypatch.setattr("wsgcn.crf.stage.write_pseudo_labels", fail)
    monkeypatch.setenv(cli.VERBOSE, "")
    code, out, err = run_main(monkeypatch, capsys, "-v", "crf", "--variant", "I")
    assert (code, out) == (1, "")
    assert "in fail" in err
    assert err.endswith("error: x.png is broken\n")


def test_completion_can_be_installed():
    done = CliRunner().invoke(cli.app, ["--help"])
    assert "--install-completion" in done.output


def test_differences_are_added_to_the_runs(here, tracked, monkeypatch):
    added = {}

    def add_numbers(params, method, numbers, warn):
        added[method.name] = dict(numbers)

    monkeypatch.setattr("wsgcn.tracking.complete.add_numbers", add_numbers)
    monkeypatch.setattr("wsgcn.report.stage.write_report", lambda *given: "table")
    tracked.left_out = {"PSA": ("evaluate-labels",)}
    for name, hits in (("WSGCN-I", 85), ("IRNet", 60), ("WSGCN-P", 85), ("PSA", 60)):
        write_labels(name, hits)
    assert CliRunner().invoke(cli.app, ["report"], catch_exceptions=False).exit_code == 0
    difference = pytest.approx(85 / 115 - 60 / 140)
    ends = ("", "_low", "_high")
    assert added["WSGCN-I"] == {f"pseudo_miou_minus_IRNet{end}": difference for end in ends}
    assert not any(added[name] for name in ("IRNet", "WSGCN-P", "PSA"))


def test_submission_is_written_and_nothing_scored(here, received, tracked, monkeypatch):
    asked = []
    function = "wsgcn.evaluate.submission.write_submission"
    monkeypatch.setattr(function, lambda params, artifacts, *rest: asked.append(rest) or 7)
    for more in (["--split", "test"], []):
        done = CliRunner().invoke(cli.app, ["evaluate", "--variant", "I", *more, "--submission", "a.tgz"])
        assert asked.pop() == (load_params(here / "params.yaml").method("WSGCN-I"), "test", Path("a.tgz"))
        assert "7 label maps of WSGCN-I are in a.tgz" in done.output
    assert not received
    assert not tracked.completed


def test_a_list_alone_is_wrong_use(here, received, monkeypatch, capsys):
    one_line(
        run_main(monkeypatch, capsys, "evaluate", "--variant", "I", "--split", "test"), 2, "goes with --submission"
    )
    assert not received


# ---------------------------------------------------------------- errors


@pytest.mark.parametrize("words", [["cams"], ["paint"], ["crf", "--kind", "gcn"], ["init", "x", "--preset", "voc13"]])
def test_wrong_words_are_wrong_use(here, monkeypatch, capsys, words):
    code, _, error = run_main(monkeypatch, capsys, *words)
    assert code == 2
    assert "Traceback" not in error
    assert "Error" in error


@pytest.mark.parametrize("stage", BY_METHOD)
@pytest.mark.parametrize(
    ("options", "said"),
    [
        ([], "no method is named: give --method, one of WSGCN-I, WSGCN-P, IRNet, PSA, or --variant"),
        (["--propagation", "gcn"], "no method is named"),
        (["--method", "IRNet", "--variant", "I"], "--method names a method by itself: leave out --variant"),
        (["--method", "IRNet", "--propagation", "gcn"], "leave out --variant and --propagation"),
        (["--method", "X"], "no method is called 'X': params.yaml has WSGCN-I, WSGCN-P, IRNet, PSA"),
        (["--variant", "X"], "no method has variant 'X': known are I with gcn (WSGCN-I)"),
        (["--variant", "I", "--propagation", "none"], "no method has variant 'I' with propagation 'none'"),
    ],
)
def test_a_method_that_is_not_named_clearly_is_one_line(
    here, received, tracked, monkeypatch, capsys, stage, options, said
):
    one_line(run_main(monkeypatch, capsys, stage, *options), 2, said)
    assert received == []


@pytest.mark.parametrize("stage", BY_VARIANT)
def test_unknown_variant_is_one_line(here, received, monkeypatch, capsys, stage):
    one_line(run_main(monkeypatch, capsys, stage, "--variant", "X"), 2, "no variant is called 'X'", "has I, P")
    assert received == []


def one_line(shown, code, *parts):
    """The program's answer is an exit code and one line that holds some words."""
    assert shown[0] == code
    assert shown[2].startswith("error: ")
    assert shown[2].count("\n") == 1, shown[2]
    missing = [part for part in parts if part not in shown[2]]
    assert missing == [], shown[2]


@pytest.mark.parametrize("command", [*STAGES, "cams-import", "clean"])
def test_missing_parameters_are_one_line(tmp_path, monkeypatch, capsys, tracked, command):
    monkeypatch.chdir(tmp_path)
    options = ["--variant", "I"] if command in (*BY_VARIANT, *BY_METHOD) else []
    options = [".", "--format", "psa"] if command == "cams-import" else options
    one_line(run_main(monkeypatch, capsys, command, *options), 2, "params.yaml is missing", "wsgcn init")


def test_unknown_key_is_one_line_with_the_known_ones(here, monkeypatch, capsys):
    content = real_content()
    content["propagate"]["gcn-i"]["stpes"] = 3
    (here / "params.yaml").write_text(yaml.safe_dump(content))
    shown = run_main(monkeypatch, capsys, "dataset")
    one_line(shown, 2, "params.yaml", "unknown key 'propagate.gcn-i.stpes'", "steps, lr")


@pytest.mark.parametrize("command", [*BY_VARIANT, *BY_METHOD])
def test_missing_index_is_one_line(here, monkeypatch, capsys, tracked, command):
    shown = run_main(monkeypatch, capsys, command, "--variant", "P")
    one_line(shown, 1, "index.json is missing", "run the stage that makes it")


def test_broken_photograph_is_one_line(here, monkeypatch, capsys, tiny_index, tiny_voc):
    (tiny_voc / "JPEGImages" / "t3.jpg").write_bytes(b"no picture")
    save_index(Artifacts().index, tiny_index)
    code, _, error = run_main(monkeypatch, capsys, "cams-train", "--variant", "I")
    one_line((code, "", error.splitlines(keepends=True)[-1]), 1, "t3.jpg is no whole picture")
    assert "Traceback" not in error


@pytest.mark.parametrize(
    ("error", "code"),
    [(UsageError("no [such] thing"), 2), (DataError("a [bad] file"), 1), (StageError("crf", {"x[0]": "bad"}, 2), 1)],
)
def test_error_of_a_stage_is_shown_as_it_is(here, monkeypatch, capsys, error, code):
    def fail(*given):
        raise error

    monkeypatch.setattr("wsgcn.crf.stage.write_pseudo_labels", fail)
    shown = run_main(monkeypatch, capsys, "crf", "--variant", "I")
    assert shown == (code, "", f"error: {error}\n")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_interrupt_ends_without_a_traceback(here, number):
    code = (
        "import signal, sys\nfrom wsgcn.cli import main\nfrom wsgcn.crf import stage\n"
        "signal.signal(signal.SIGINT, signal.default_int_handler)\n"  # which a job in a shell's background ignores
        f"def interrupted(*given):\n signal.raise_signal({int(number)})\n"
        "stage.write_pseudo_labels = interrupted\nsys.argv = ['wsgcn', 'crf', '--variant', 'I']\nmain()"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 128 + number
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("error", "shown"),
    [
        (OSError(errno.ENOSPC, "No space left on device"), "No space left on device: make room and run it again"),
        (
            OSError(errno.EACCES, "Permission denied", "a.png"),
            "Permission denied: a.png: let this user read and write there",
        ),
    ],
)
def test_what_the_machine_cannot_do_is_one_line(here, capsys, monkeypatch, error, shown):
    def fail(*given):
        raise error

    monkeypatch.setattr("wsgcn.crf.stage.write_pseudo_labels", fail)
    code, _, said = run_main(monkeypatch, capsys, "crf", "--variant", "I")
    assert code == 1
    assert said.startswith(f"error: {shown}")


def test_another_error_of_a_file_is_a_mistake_of_ours(here, monkeypatch, capsys):
    def fail(*given):
        raise FileNotFoundError(errno.ENOENT, "No such file or directory", "a.png")

    monkeypatch.setattr("wsgcn.crf.stage.write_pseudo_labels", fail)
    with pytest.raises(FileNotFoundError):
        run_main(monkeypatch, capsys, "crf", "--variant", "I")
