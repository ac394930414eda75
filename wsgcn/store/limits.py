"""How large a photograph may be, and the size at which the stages see a large one."""

from __future__ import annotations

import math

from wsgcn.errors import DataError

MEGA = 1_000_000


def require_allowed(size: tuple[int, int], megapixels: float | None) -> None:
    """Refuse a photograph that is larger than allowed.

    Args:
        size: its rows and columns.
        megapixels: allowed; None = any.

    Raises:
        DataError: it is larger.
    """
    if megapixels is not None and math.prod(size) > megapixels * MEGA:
        height, width = size
        raise DataError(
            f"{width} x {height} pixels are {math.prod(size) / MEGA:.1f} megapixels, dataset.max_megapixels allows "
            f"{megapixels:g}: raise it, or make the photograph smaller"
        )


def shrunk_size(size: tuple[int, int], megapixels: float | None) -> tuple[int, int] | None:
    """Rows and columns of about so many megapixels in the shape of a larger photograph; None where it is not larger.

    Args:
        size: the photograph's rows and columns.
        megapixels: None = any photograph is seen as it is.
    """
    if megapixels is None or math.prod(size) <= megapixels * MEGA:
        return None
    factor = math.sqrt(megapixels * MEGA / math.prod(size))
    return max(1, math.floor(size[0] * factor)), max(1, math.floor(size[1] * factor))
