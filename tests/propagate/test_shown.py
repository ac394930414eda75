"""The steps that are shown of one photograph are those that the stage takes."""

import numpy as np
import pytest

from tests.chain import silent
from tests.conftest import changed
from wsgcn.errors import DataError, UsageError
from wsgcn.propagate.shown import method_to_show, steps_shown
from wsgcn.propagate.stage import write_scores
from wsgcn.store.paths import Artifacts
from wsgcn.store.records import Scores, load_record

WITHOUT = [("entropy_weight", "laplacian_weight"), ("laplacian_weight",), ()]


@pytest.fixture
def image(tiny_index):
    """A photograph with unlabelled cells, from which alone the entropy learns."""
    (found,) = (one for one in tiny_index.images if one.id == "t4")
    return found


@pytest.fixture
def steps(tiny_params, made, tiny_index, image):
    """The steps of a method by caption."""

    def shown(method, params=tiny_params):
        return steps_shown(params, made, params.method(method), tiny_index, image)

    return shown


def captions_of(kind):
    added = [f"+ entropy (weight {kind.entropy_weight:g})", f"+ Laplacian (weight {kind.laplacian_weight:g})"]
    return ["GCN: fg + bg losses", *added]


def same(first, second):
    return all(np.array_equal(getattr(first, name), getattr(second, name)) for name in vars(first))


def saved(artifacts: Artifacts, method, image):
    return load_record(artifacts.arrays("propagate", method, image.id), Scores)


@pytest.mark.parametrize(("method", "baseline", "entry"), [("WSGCN-I", "IRNet", "gcn-i"), ("WSGCN-P", "PSA", "gcn-p")])
def test_losses_come_one_after_the_other_beside_the_walk(steps, made, tiny_params, image, method, baseline, entry):
    captions, found = zip(*steps(method))
    assert list(captions) == ["random walk", *captions_of(tiny_params.propagate[entry])]
    assert same(found[0], saved(made, baseline, image))
    for scores, without in zip(found[1:], WITHOUT):
        params = changed(tiny_params, {f"propagate.{entry}.{name}": 0 for name in without})
        write_scores(params, made, params.method(method), silent)
        assert same(scores, saved(made, method, image))
    assert not np.array_equal(found[1].scores, found[2].scores)
    assert not np.array_equal(found[2].scores, found[3].scores)


@pytest.mark.parametrize("method", ["IRNet", "PSA"])
def test_a_walk_is_one_step(steps, made, image, method):
    ((caption, scores),) = steps(method)
    assert caption == "random walk"
    assert same(scores, saved(made, method, image))


def test_a_variant_without_a_walk_shows_none(steps, tiny_params):
    methods = tiny_params.model_dump(mode="json")["methods"]
    alone = changed(tiny_params, {"methods": {"WSGCN-I": methods["WSGCN-I"]}})
    assert [caption for caption, _ in steps("WSGCN-I", alone)] == captions_of(alone.propagate["gcn-i"])


def test_the_first_method_whose_files_are_there_is_shown(tiny_params, made):
    assert method_to_show(tiny_params, made, "t2", None).name == "WSGCN-I"
    made.arrays("affinity", "I", "t2").unlink()
    assert method_to_show(tiny_params, made, "t2", None).name == "WSGCN-P"
    assert method_to_show(tiny_params, made, "t3", None).name == "WSGCN-I"


def test_what_is_missing_names_the_stage_that_makes_it(tiny_params, made):
    made.arrays("cams", "P", "t2").unlink()
    with pytest.raises(DataError, match="what PSA starts from is missing for t2: run `dvc repro cams@P`"):
        method_to_show(tiny_params, made, "t2", "PSA")
    made.arrays("cams", "I", "t2").unlink()
    made.arrays("affinity", "I", "t2").unlink()
    with pytest.raises(DataError, match="what any method starts from is missing for t2: run `dvc repro affinity@I`"):
        method_to_show(tiny_params, made, "t2", None)
    with pytest.raises(UsageError, match="no method is called 'X'"):
        method_to_show(tiny_params, made, "t2", "X")
