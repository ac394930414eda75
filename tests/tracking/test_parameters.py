"""What makes a run another run, and which runs are compared with the project's."""

import yaml

from tests.conftest import changed
from tests.tracking.conftest import runs
from wsgcn.params import parse_params
from wsgcn.store.files import write_table
from wsgcn.tracking.complete import complete_run
from wsgcn.tracking.finished import FinishedRun, differing_only_in, finished_runs
from wsgcn.tracking.live import live
from wsgcn.tracking.parameters import flat_params


def content_of(params):
    return yaml.safe_load(yaml.safe_dump(params.model_dump(mode="json")))


def entries(flat, section):
    """The entries of a section that a run's parameters name."""
    return {name.split(".")[1] for name in flat if name.startswith(f"{section}.")}


def test_a_run_has_the_entries_of_its_method_alone(tiny_params):
    method = tiny_params.method("WSGCN-I")
    flat = flat_params(tiny_params, method)
    assert entries(flat, "propagate") == {method.propagation_name} == {flat["method.propagation"]}
    assert entries(flat, "crf") == {method.crf_name} == {flat["method.crf"]}
    assert entries(flat, "cams") == {flat["method.cams"]}
    assert entries(flat, "affinity") == {flat["method.affinity"]}
    assert flat["method.variant"] == "I"
    assert {name.split(".")[0] for name in flat} >= {"runtime", "dataset", "segtrain", "evaluate"}
    assert not [name for name in flat if name.startswith(("tracking", "variants", "methods", "runtime.w"))]


def test_a_run_has_the_background_constant_of_its_own_cam_source(tiny_params):
    by_source = changed(tiny_params, {"evaluate.cam_background": {"irnet": 0.15, "psa": 0.2}})
    found = [flat_params(by_source, by_source.method(name)) for name in ("IRNet", "PSA")]
    assert [one["evaluate.cam_background"] for one in found] == ["0.15", "0.2"]


def test_another_method_changes_no_run_of_the_others(tiny_params):
    content = content_of(tiny_params)
    method = tiny_params.method("WSGCN-I")
    content["propagate"]["other-one"] = content["propagate"][method.propagation_name] | {"lr": 0.5}
    content["methods"]["Other"] = content["methods"][method.name] | {"propagation": "other-one"}
    more = parse_params(content, "test")
    assert flat_params(more, more.method("WSGCN-I")) == flat_params(tiny_params, method)
    flat = flat_params(more, more.method("Other"))
    assert flat["propagate.other-one.lr"] == "0.5"
    assert flat["method.propagation"] == "other-one"
    without = changed(more, {"propagate.other-one.entropy_weight": 0.0})
    found = [FinishedRun("Other", flat_params(without, without.method("Other")), {})]
    assert differing_only_in(found, more, ["propagate.{propagation}.entropy_weight"]) == found
    assert differing_only_in(found, more, ["propagate.{propagation}.lr"]) == []


def test_runs_are_alike_but_for_what_is_named(tiny_params):
    entry = f"propagate.{tiny_params.method('WSGCN-I').propagation_name}"
    without = changed(tiny_params, {f"{entry}.entropy_weight": 0.0, "segtrain.deeplab.lr": 0.5})
    other = changed(tiny_params, {f"{entry}.steps": 7})
    found = [
        FinishedRun("WSGCN-I", flat_params(one, one.method("WSGCN-I")), {}) for one in (tiny_params, without, other)
    ]
    found.append(FinishedRun("of another project", found[0].params, {}))
    names = ["propagate.{propagation}.entropy_weight", "segtrain."]
    assert differing_only_in(found, tiny_params, names) == found[:2]
    assert differing_only_in(found, tiny_params, names[:1]) == found[:1]
    assert differing_only_in(found, tiny_params, []) == found[:1]


def test_a_run_of_another_method_is_compared_with_that_method(tiny_params):
    """What WSGCN-I's propagation alone is changed in is no difference for IRNet."""
    entry = f"propagate.{tiny_params.method('WSGCN-I').propagation_name}"
    other = changed(tiny_params, {f"{entry}.steps": 7})
    found = [FinishedRun(name, flat_params(other, other.method(name)), {}) for name in ("WSGCN-I", "IRNet")]
    assert differing_only_in(found, tiny_params, ["segtrain."]) == found[1:]


def test_tags_and_hash(client, params, method, warnings):
    entry = f"propagate.{method.propagation_name}"
    others = (
        changed(params, {"runtime.device": "auto", "runtime.workers": 3}),
        changed(params, {f"{entry}.lr": 0.5}),
        changed(params, {"runtime.seed": 43}),
    )
    for one in (params, *others):
        with live(one, one.method(method.name), warnings.append) as log:
            log({"gcn_fg": 1.0}, 0)
    hashes = [run.data.tags["parameters"] for run in runs(client, params)]
    assert len(hashes) == len(set(hashes)) == 3
    tags = runs(client, params)[0].data.tags
    wanted = {"method": "WSGCN-I", "variant": "I", "propagation": "gcn", "dataset": params.dataset.name}
    assert tags.items() >= wanted.items()
    assert "git_commit" not in tags  # the project is in no repository
    assert warnings == []


def test_complete_runs_are_found_again_and_the_superseded_are_not(client, params, artifacts, method, warnings):
    complete_run(params, artifacts, method, warnings.append)
    write_table(artifacts.losses(method.name), ["id", "total"], [["t0", 9]])
    complete_run(params, artifacts, method, warnings.append)  # other curves: the first run is set aside
    with live(params, params.method("PSA"), warnings.append) as log:
        log({"seg_loss": 1.0}, 10)  # a run that is not complete
    (found,) = finished_runs(params, warnings.append)
    assert found.method == "WSGCN-I"
    assert found.params == flat_params(params, method)
    assert found.metrics["pseudo_miou_crf"] == 0.625
    assert not warnings


def test_a_failed_training_takes_no_labels_from_the_comparison(client, params, artifacts, method, warnings):
    complete_run(params, artifacts, method, warnings.append, ["labels"])
    try:
        with live(params, method, warnings.append) as log:
            log({"seg_loss": 9.0}, 10)
            raise KeyError
    except KeyError:
        pass
    (found,) = finished_runs(params, warnings.append)
    assert found.metrics["pseudo_miou_crf"] == 0.625
