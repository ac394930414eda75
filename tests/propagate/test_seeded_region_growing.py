"""The kind ``seeded-region-growing``: its parameters, the stage, and what is shown of it."""

import numpy as np
import pytest
import yaml

from tests.chain import silent
from tests.conftest import changed
from wsgcn.errors import UsageError
from wsgcn.params import parse_params
from wsgcn.propagate.shown import steps_shown
from wsgcn.propagate.stage import write_scores
from wsgcn.store.records import Scores, load_record
from wsgcn.vocabulary import PRESET_FOLDER

PRESETS = ("voc12", "voc12-mobile")


def entry(preset):
    return yaml.safe_load((PRESET_FOLDER / f"{preset}.yaml").read_text())["propagate"]["grow"]


@pytest.fixture
def params(tiny_params):
    """The real parameters with a method that grows regions."""
    content = tiny_params.model_dump(mode="json")
    content["propagate"]["grow"] = entry("voc12-mobile")
    content["methods"]["Grow"] = content["methods"]["IRNet"] | {"propagation": "grow"}
    return parse_params(content, "test")


@pytest.mark.parametrize("preset", PRESETS)
def test_presets_have_the_published_thresholds_and_crf(preset):
    numbers = entry(preset)
    assert numbers["growth"] == {"foreground": 0.85, "background": 0.99}
    assert numbers["crf"]["bilateral_sxy"] / 8 == pytest.approx(80 / 12, abs=1e-4)
    assert numbers["crf"]["gaussian_sxy"] / 8 == 3 / 12


def test_seeds_that_would_be_two_things_are_refused(params):
    with pytest.raises(UsageError, match=r"propagate\.grow\.seeds.*background must not be above foreground"):
        changed(params, {"propagate.grow.seeds": {"foreground": 0.2, "background": 0.3, "saliency": None}})


def test_the_stage_saves_what_grew_and_show_ends_with_it(params, made, tiny_index):
    write_scores(params, made, params.method("Grow"), silent)
    for image in tiny_index.split("train"):
        saved = load_record(made.arrays("propagate", "Grow", image.id), Scores)
        assert saved.class_ids.tolist() == [0, *image.class_ids]
        assert set(np.unique(saved.partial_labels)) <= {*saved.class_ids, 255}
        steps = dict(steps_shown(params, made, params.method("Grow"), tiny_index, image))
        assert list(steps)[-2:] == ["seeds", "grown regions"]
        np.testing.assert_array_equal(steps["grown regions"].scores, saved.scores)
        seeded = steps["seeds"].partial_labels != 255
        assert 0 < seeded.sum() <= (saved.partial_labels != 255).sum()
        np.testing.assert_array_equal(saved.partial_labels[seeded], steps["seeds"].partial_labels[seeded])
