"""The command line: options arrive in the stages, errors are one line, ``--help`` is light."""

from __future__ import annotations

import importlib
import os
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace

import pytest
import yaml
from typer.main import get_command
from typer.testing import CliRunner
from wsgcn.record import Recorded, flat_params

from tests import chain
from tests.conftest import ROOT, real_content
from wsgcn import __version__, cli
from wsgcn.errors import DataError, StageError, UsageError
from wsgcn.params import load_params
from wsgcn.store.index import save_index
from wsgcn.store.paths import Artifacts
from wsgcn.vocabulary import METHODS, VARIANTS

COMMANDS = tuple(get_command(cli.app).commands)
STAGES = tuple(dict.fromkeys(entry.stage for entry in chain.entries()))
BY_METHOD = ("propagate", "crf", "segtrain", "evaluate")
BY_VARIANT = ("cams-train", "cams", "affinity-train", "affinity")

each_command = pytest.mark.parametrize("command", COMMANDS)


@pytest.fixture
def here(tmp_path, monkeypatch):
    """A project folder of a few pictures, the one we stand in."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "params.yaml").write_text(yaml.safe_dump(chain.shrunk(real_content(), "devkit")))
    return tmp_path


@pytest.fixture
def tracked(monkeypatch):
    """Stands for MLflow; holds what was asked of it."""
    asked = SimpleNamespace(live=[], recorded=[], logged=[], runs=[])

    @contextmanager
    def live(params, method, warn):
        asked.live.append(method.name)
        yield lambda metrics, step: asked.logged.append((dict(metrics), step))

    def record(params, artifacts, method, warn):
        asked.recorded.append(method.name)

    module = SimpleNamespace(live=live, record=record, recorded=lambda params, warn: asked.runs)
    monkeypatch.setitem(sys.modules, "wsgcn.tracking", module)
    monkeypatch.setattr("wsgcn.tracking", module, raising=False)
    return asked


@pytest.fixture
def received(monkeypatch):
    """Replaces what the stages do by a note of what they are given."""
    calls = []

    def replace(stage, function, value=None):
        module = importlib.import_module(f"wsgcn.{chain.room(stage)}.stage")
        monkeypatch.setattr(module, function, lambda *given: calls.append((stage, *given)) or value)

    for stage in BY_METHOD:
        replace(stage, "run")
    for stage in BY_VARIANT:
        replace(stage, "train" if stage.endswith("-train") else "infer")
    replace("dataset", "run", ["class 'ring' is shown by no photograph"])
    return calls


def run_main(monkeypatch, capsys, *words):
    """Exit code, output and error stream of the program ``wsgcn``."""
    monkeypatch.setattr(sys, "argv", ["wsgcn", *words])
    with pytest.raises(SystemExit) as caught:
        cli.main()
    shown = capsys.readouterr()
    return caught.value.code or 0, shown.out, shown.err


# ---------------------------------------------------------------- help


def test_a_command_for_each_stage_one_to_begin_one_to_measure_and_one_for_weights():
    assert list(COMMANDS) == ["init", *STAGES, "bench", "weights"]


@each_command
def test_every_command_and_option_explains_itself(command):
    done = CliRunner().invoke(cli.app, [command, "--help"])
    assert done.exit_code == 0
    one = get_command(cli.app).commands[command]
    assert one.help
    assert one.help.splitlines()[0] in " ".join(done.output.split())
    assert all(parameter.help for parameter in one.params)


@each_command
def test_readme_knows_every_stage(command):
    assert command in (ROOT / "README.md").read_text()


def test_help_imports_nothing_slow():
    code = (
        "import sys\nsys.argv = ['wsgcn', '--help']\nfrom wsgcn.cli import main\n"
        "try:\n main()\nexcept SystemExit as end:\n assert not end.code\n"
        "slow = {'torch', 'torch_geometric', 'mlflow', 'scipy', 'pydensecrf', 'dvc', 'numpy', 'pandas'}\n"
        "print('LOADED', sorted(slow & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "LOADED []"


def test_version_and_module_entry():
    done = subprocess.run([sys.executable, "-m", "wsgcn", "--version"], capture_output=True, text=True, check=True)
    assert done.stdout == f"wsgcn {__version__}\n"


# ---------------------------------------------------------------- options arrive


@pytest.mark.parametrize("method", METHODS.values(), ids=METHODS)
@pytest.mark.parametrize("stage", BY_METHOD)
def test_method_arrives(here, received, tracked, stage, method):
    words = [stage, "--variant", method.variant, "--propagation", method.propagation]
    done = CliRunner().invoke(cli.app, words, catch_exceptions=False)
    assert done.exit_code == 0
    ((name, params, artifacts, given, *log),) = received
    assert (name, given, artifacts) == (stage, method, Artifacts())
    assert params == load_params(here / "params.yaml")
    assert tracked.live == ([method.name] if stage in ("propagate", "segtrain") else [])
    if log:
        log[0]({"seg_loss": 0.5}, 3)
        assert tracked.logged == [({"seg_loss": 0.5}, 3)]


@pytest.mark.parametrize("stage", BY_METHOD)
def test_propagation_is_the_papers_unless_asked_otherwise(here, received, tracked, stage):
    assert CliRunner().invoke(cli.app, [stage, "--variant", "P"]).exit_code == 0
    assert received[0][3] == METHODS["WSGCN-P"]


@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize("stage", BY_VARIANT)
def test_variant_arrives(here, received, stage, variant):
    assert CliRunner().invoke(cli.app, [stage, "--variant", variant]).exit_code == 0
    assert received == [(stage, load_params(here / "params.yaml"), Artifacts(), variant)]


def test_warnings_of_the_dataset_are_shown_and_are_no_error(here, received):
    done = CliRunner().invoke(cli.app, ["dataset"])
    assert done.exit_code == 0
    assert received == [("dataset", load_params(here / "params.yaml"), Artifacts())]
    assert done.stderr == "warning: class 'ring' is shown by no photograph\n"


def test_report_records_the_methods_that_have_scores(here, tracked, monkeypatch):
    module = SimpleNamespace(run=lambda params, artifacts, *runs: f"table of {artifacts.root} and {[*map(len, runs)]}")
    monkeypatch.setitem(sys.modules, "wsgcn.report.stage", module)
    monkeypatch.setattr("wsgcn.report.stage", module, raising=False)
    for name in ("IRNet", "WSGCN-P"):
        Artifacts().metrics(name).parent.mkdir(parents=True)
        Artifacts().metrics(name).write_text("{}")
    alike = flat_params(load_params(Path("params.yaml")))
    changes = [{}, {"propagate.entropy_weight": "0.0"}, {"segtrain.lr": "1"}, {"propagate.steps": "1"}]
    tracked.runs = [Recorded("WSGCN-I", alike | change, {}) for change in changes]
    done = CliRunner().invoke(cli.app, ["report"], catch_exceptions=False)
    assert done.stdout.startswith("table of artifacts and [3, 2]\n")
    assert os.path.join("report", "index.html") in done.stdout
    assert sorted(tracked.recorded) == ["IRNet", "WSGCN-P"]


def test_evaluate_records_its_method(here, received, tracked):
    assert CliRunner().invoke(cli.app, ["evaluate", "--variant", "P"]).exit_code == 0
    assert [call[0] for call in received] == ["evaluate"]
    assert tracked.recorded == ["WSGCN-P"]


def test_submission_is_written_and_nothing_scored(here, received, tracked, monkeypatch):
    asked = []
    module = SimpleNamespace(run=lambda params, artifacts, *rest: asked.append(rest) or 7)
    monkeypatch.setitem(sys.modules, "wsgcn.evaluate.submission", module)
    done = CliRunner().invoke(cli.app, ["evaluate", "--variant", "I", "--split", "test", "--submission", "a.tgz"])
    assert asked == [(METHODS["WSGCN-I"], "test", Path("a.tgz"))]
    assert "7 label maps of WSGCN-I are in a.tgz" in done.output
    assert not received
    assert not tracked.recorded


def test_a_list_alone_is_wrong_use(here, received, monkeypatch, capsys):
    one_line(
        run_main(monkeypatch, capsys, "evaluate", "--variant", "I", "--split", "test"), 2, "goes with --submission"
    )
    assert not received


# ---------------------------------------------------------------- errors


@pytest.mark.parametrize(
    "words", [["cams"], ["cams", "--variant", "X"], ["crf", "--variant", "I", "--propagation", "none"], ["paint"]]
)
def test_wrong_words_are_wrong_use(here, monkeypatch, capsys, words):
    code, _, error = run_main(monkeypatch, capsys, *words)
    assert code == 2
    assert "Traceback" not in error
    assert "Error" in error


def one_line(shown, code, *parts):
    """The program's answer is an exit code and one line that holds some words."""
    assert shown[0] == code
    assert shown[2].startswith("error: ")
    assert shown[2].count("\n") == 1, shown[2]
    missing = [part for part in parts if part not in shown[2]]
    assert missing == [], shown[2]


@pytest.mark.parametrize("command", STAGES)
def test_missing_parameters_are_one_line(tmp_path, monkeypatch, capsys, tracked, command):
    monkeypatch.chdir(tmp_path)
    if command == "report":
        monkeypatch.setitem(sys.modules, "wsgcn.report.stage", SimpleNamespace())
        monkeypatch.setattr("wsgcn.report.stage", SimpleNamespace(), raising=False)
    options = ["--variant", "I"] if command in (*BY_VARIANT, *BY_METHOD) else []
    one_line(run_main(monkeypatch, capsys, command, *options), 2, "params.yaml is missing", "wsgcn init")


def test_unknown_key_is_one_line_with_the_known_ones(here, monkeypatch, capsys):
    content = real_content()
    content["propagate"]["stpes"] = 3
    (here / "params.yaml").write_text(yaml.safe_dump(content))
    shown = run_main(monkeypatch, capsys, "dataset")
    one_line(shown, 2, "params.yaml", "unknown key 'propagate.stpes'", "steps, lr")


@pytest.mark.parametrize("command", [*BY_VARIANT, *BY_METHOD])
def test_missing_index_is_one_line(here, monkeypatch, capsys, tracked, command):
    shown = run_main(monkeypatch, capsys, command, "--variant", "P")
    one_line(shown, 1, "index.json is missing", "run the stage that makes it")


def test_broken_photograph_is_one_line(here, monkeypatch, capsys, tiny_index, tiny_voc):
    content = chain.shrunk(real_content(), tiny_voc)
    (here / "params.yaml").write_text(yaml.safe_dump(content))
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

    monkeypatch.setattr("wsgcn.crf.stage.run", fail)
    shown = run_main(monkeypatch, capsys, "crf", "--variant", "I")
    assert shown == (code, "", f"error: {error}\n")


def test_interrupt_ends_without_a_traceback(here):
    code = (
        "import sys\nfrom wsgcn.cli import main\nfrom wsgcn.crf import stage\n"
        "def interrupted(*given):\n raise KeyboardInterrupt\n"
        "stage.run = interrupted\nsys.argv = ['wsgcn', 'crf', '--variant', 'I']\nmain()"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 130
    assert "Traceback" not in done.stderr
