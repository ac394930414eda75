"""The kind ``random-walk``: its parameters, and what its scores tell of other backgrounds."""

import numpy as np
import pytest

from tests.conftest import changed
from wsgcn.errors import UsageError


@pytest.mark.parametrize(("background", "alpha"), [(0.3, 4), (None, None)])
def test_exactly_one_background_is_given(tiny_params, background, alpha):
    values = {"propagate.walk-i.background": background, "propagate.walk-i.alpha": alpha}
    with pytest.raises(UsageError, match=r"propagate\.walk-i: give background .* or alpha"):
        changed(tiny_params, values)


MAPS = np.array([[[0.3, 0.3, 0.3, 0.0]], [[0.2, 0.9, 0.3, 0.0]], [[0.1, 0.6, 0.0, 0.0]]], dtype=np.float32)


def test_a_constant_background_is_compared_with_the_best_score(tiny_params):
    limits = tiny_params.method("IRNet").propagation.background_limits(MAPS)
    assert (limits == MAPS[1]).all()  # whatever constant was saved


def test_the_limit_of_a_walking_background_is_the_share_of_the_best_score(tiny_params):
    limits = tiny_params.method("PSA").propagation.background_limits(MAPS)
    assert limits == pytest.approx(np.array([[0.2 / 0.5, 0.9 / 1.2, 0.5, 0]]))
    for threshold in (0.05, 0.4001, 0.5, 0.74, 0.95):
        foreground_wins = MAPS[1] > threshold / (1 - threshold) * MAPS[0].astype(float)
        assert ((limits > threshold) == foreground_wins).all()


def test_scores_that_differ_by_a_bit_keep_their_labels(tiny_params):
    """At 0.5 the labels are those of the walk as it is."""
    background = np.random.default_rng(0).random((1, 1, 500), dtype=np.float32) + np.float32(1e-3)
    for foreground, wins in ((np.nextafter(background, np.float32(2)), True), (background, False)):
        limits = tiny_params.method("PSA").propagation.background_limits(np.concatenate([background, foreground]))
        assert ((limits > 0.5) == wins).all()


def test_a_gcn_has_no_background_to_set(tiny_params):
    assert tiny_params.method("WSGCN-I").propagation.background_limits(MAPS) is None
