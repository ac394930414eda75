"""What is held out of a training, when it ends, and which weights it keeps."""

import math

import pytest
import torch

from tests import chain
from tests.conftest import changed
from tests.training.lines import Line, line_sample
from wsgcn.sections import Check, Stop
from wsgcn.store.files import read_json, write_json
from wsgcn.store.learned import read_learned, sentence, untaught
from wsgcn.training import loop
from wsgcn.training.check import Measured, learned, mean_recall, watched
from wsgcn.training.descent import Step

ITEMS = {f"p{number}": number / 20 for number in range(20)}


def check(held_out=0.25, photographs=64, stop=None):
    return Check(photographs=photographs, held_out=held_out, stop=stop)


class WatchedLine(Line):
    """Measured by the shift alone, which is best at 1.2 on the way from 2 to 0."""

    def counts(self, batch):
        assert not self.training
        assert not torch.is_grad_enabled()
        return torch.stack([(self.shift[0] - 1.2).abs() * len(batch[0]), torch.tensor(float(len(batch[0])))])

    def measured(self, counts):
        return Measured(float(counts[0] / counts[1]), 0.75, 0.5)


def train(params, unfinished, one, steps=200, net=None, items=ITEMS, each=None):
    loss = net or WatchedLine()
    training = loop.Training(
        loss=loss, items=items, sample=line_sample, steps=steps, run_seed=0,
        params=params.segtrain["deeplab"].model_copy(update={"batch": 4}),
        name="line", label="line", section="line", unfinished=unfinished, check=one,
    )  # fmt: skip
    return loss, loop.train(training, loop.fabric_for(params.runtime), each)


@pytest.fixture
def params(tiny_params):
    slow = {"kind": "sgd", "momentum": 0.0, "weight_decay": 0.0}
    return changed(tiny_params, {"segtrain.deeplab.optimiser": slow, "segtrain.deeplab.poly_power": 0.0})


# ---------------------------------------------------------------- what measures


@pytest.mark.parametrize(("held_out", "most", "count"), [(0.25, 64, 5), (0.25, 3, 3), (0.01, 64, 1), (0.5, 64, 10)])
def test_held_out_photographs_do_not_train(held_out, most, count):
    trains, measures = watched(ITEMS, check(held_out, most), 0)
    assert len(measures) == count
    assert trains | measures == ITEMS
    assert not set(trains) & set(measures)


def test_where_none_is_held_out_all_train_and_some_of_them_measure():
    trains, measures = watched(ITEMS, check(0, 6), 0)
    assert trains == ITEMS
    assert len(measures) == 6
    assert set(measures) < set(ITEMS)


def test_a_single_photograph_trains_and_measures():
    assert watched({"a": 1.0}, check(0.9), 0) == ({"a": 1.0}, {"a": 1.0})


@pytest.mark.parametrize(("count", "held_out"), [(2, 0.75), (3, 0.9), (10, 0.99)])
def test_at_least_one_photograph_trains(count, held_out):
    trains, measures = watched(dict(list(ITEMS.items())[:count]), check(held_out), 0)
    assert (len(trains), len(measures)) == (1, count - 1)


def test_what_a_single_photograph_says_is_not_called_held_out(params, tmp_path):
    _, trained = train(params, tmp_path / "kept", check(0.5), steps=2, items={"a": 1.0})
    assert (trained.learned["photographs"], trained.learned["held_out"]) == (1, False)


def test_the_seed_and_the_ids_choose_and_not_the_order():
    chosen = watched(ITEMS, check(), 0)[1]
    assert chosen == watched(dict(reversed(ITEMS.items())), check(), 0)[1]
    assert chosen != watched(ITEMS, check(), 1)[1]


def test_mean_recall_leaves_out_what_is_not_there():
    assert mean_recall(torch.tensor([1.0, 0.0, 3.0]), torch.tensor([2.0, 0.0, 3.0])) == 0.75
    assert mean_recall(torch.zeros(2), torch.zeros(2)) == 0


# ---------------------------------------------------------------- when it ends


def test_the_best_weights_are_kept_and_the_training_ends(params, tmp_path):
    net, (history, learned) = train(params, tmp_path / "kept", check(stop=Stop(every=1, patience=3)))
    measured = [step.measured.loss for step in history]
    best = min(range(len(measured)), key=measured.__getitem__)
    assert 0 < best == len(history) - 1 - 3
    assert len(history) < 200
    assert abs(net.shift.item() - 1.2) == pytest.approx(measured[best])
    assert learned == {
        "updates": len(history), "kept": best + 1, "photographs": 5, "held_out": True, "loss": measured[best],
        "balanced_accuracy": 0.75, "chance": 0.5,
    }  # fmt: skip
    assert not net.training


def test_without_a_stop_it_is_measured_at_its_end_alone(params, tmp_path):
    net, (history, learned) = train(params, tmp_path / "kept", check(0), steps=7)
    assert [step.measured is not None for step in history] == [False] * 6 + [True]
    assert learned["loss"] == pytest.approx(abs(net.shift.item() - 1.2))
    assert (learned["updates"], learned["kept"], learned["photographs"], learned["held_out"]) == (7, 7, 20, False)


def test_averaged_weights_are_measured_and_kept(params, tmp_path):
    """The average reaches the best shift later, and it is the average that is left, with a stop and without."""
    stop = check(stop=Stop(every=1, patience=3))
    _, plain = train(params, tmp_path / "plain", stop)
    net, late = train(changed(params, {"segtrain.deeplab.average": 0.9}), tmp_path / "late", stop)
    assert late.learned["kept"] > plain.learned["kept"]
    assert abs(net.shift.item() - 1.2) == pytest.approx(late.learned["loss"], abs=1e-6)
    net, last = train(changed(params, {"segtrain.deeplab.average": 0.9}), tmp_path / "last", check(0), steps=7)
    assert abs(net.shift.item() - 1.2) == pytest.approx(last.learned["loss"], abs=1e-6)


def test_measuring_changes_no_update(params, tmp_path):
    _, plain = train(params, tmp_path / "plain", None, steps=9)
    _, measured = train(params, tmp_path / "measured", check(0, stop=Stop(every=2, patience=99)), steps=9)
    assert [step.number for step in measured.history if step.measured] == [1, 3, 5, 7, 8]
    assert [step.loss for step in measured.history] == [step.loss for step in plain.history]


@pytest.mark.parametrize("average", [0, 0.5])
def test_what_was_interrupted_keeps_its_best_weights(average, params, tmp_path, monkeypatch):
    params = changed(params, {"segtrain.deeplab.average": average})
    one = check(stop=Stop(every=1, patience=3))
    whole, told = train(params, tmp_path / "whole", one)
    kept_at = told.learned["kept"] + 1  # the best weights are behind it, and the end before it
    monkeypatch.setattr(loop, "KEEP_SECONDS", -1)

    def interrupt(step):
        if step.number == kept_at:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train(params, tmp_path / "cut", one, each=interrupt)
    assert (tmp_path / "cut").exists()
    resumed, again = train(params, tmp_path / "cut", one)
    assert again == told
    assert resumed.shift.item() == whole.shift.item()


# ---------------------------------------------------------------- what it says


@pytest.mark.parametrize(("stage", "name"), [("cams-train", "I"), ("affinity-train", "P"), ("segtrain", "WSGCN-I")])
def test_every_training_stage_says_how_well_its_network_does(stage, name, tiny_params, made):
    network = "segtrain.deeplab"
    entry = {"cams-train": "cams.irnet.train", "affinity-train": "affinity.affinitynet.train", "segtrain": network}
    held = {"photographs": 64, "held_out": 0.2, "stop": {"every": 1, "patience": 9}}
    chain.run_stage(stage, name, changed(tiny_params, {f"{entry[stage]}.check": held}), made)
    record = read_json(made.learned(stage, name))
    assert record == read_learned(made, stage, name)
    assert 0 <= record["balanced_accuracy"] <= 1
    assert record["held_out"] is True
    assert f"{stage} {name}: balanced accuracy" in sentence(stage, name, record)


@pytest.mark.parametrize(("accuracy", "warned"), [(0.5, True), (0.61, True), (0.64, False), (0.9, False)])
def test_a_network_near_chance_is_warned_of(accuracy, warned):
    record = {"balanced_accuracy": accuracy, "chance": 0.5, "photographs": 9, "held_out": True}
    warning = untaught("affinity-train", "P", record)
    assert (warning is not None) == warned
    if warned:
        assert "the affinity network of P is hardly better than chance on held-out pairs of cells" in warning
        assert "its labels will be worse than the CAMs" in warning


@pytest.mark.parametrize(
    ("losses", "stopped", "kept", "loss"),
    [
        ([math.inf, 2.0, 3.0, math.inf], True, 2, 2.0),
        ([math.inf, 2.0, 3.0, math.inf], False, 4, None),
        ([math.inf, math.inf], True, 2, None),  # the last weights stay, as no measurement was the best
    ],
)
def test_measurements_of_nothing_choose_nothing_and_are_written_without_a_loss(losses, stopped, kept, loss, tmp_path):
    history = [Step(number, 1.0, 0.1, Measured(one, 0.5, 0.25)) for number, one in enumerate(losses)]
    record = learned(history, stopped, 3, False)
    write_json(tmp_path / "learned.json", record)
    assert read_json(tmp_path / "learned.json") == record
    assert (record["kept"], record.get("loss")) == (kept, loss)
