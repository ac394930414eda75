"""The kind ``random-walk``: its parameters."""

import pytest

from tests.conftest import changed
from wsgcn.errors import UsageError


@pytest.mark.parametrize(("background", "alpha"), [(0.3, 4), (None, None)])
def test_exactly_one_background_is_given(tiny_params, background, alpha):
    values = {"propagate.walk-i.background": background, "propagate.walk-i.alpha": alpha}
    with pytest.raises(UsageError, match=r"propagate\.walk-i: give background .* or alpha"):
        changed(tiny_params, values)
