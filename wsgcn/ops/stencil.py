"""Neighbours on a grid: which offsets count, and which cells have a neighbour there."""

from __future__ import annotations


def half_disc(radius: int) -> list[tuple[int, int]]:
    """Offsets (dy, dx) with 0 < dy² + dx² < radius², one of each opposite pair: dy > 0, or dy = 0 and dx > 0.

    Source: the neighbourhood of IRNet and PSA.
    """
    reach = range(-radius + 1, radius)
    return [(dy, dx) for dy in range(radius) for dx in reach if 0 < dy * dy + dx * dx < radius**2 and (dy, dx) > (0, 0)]


def half_square(side: int) -> list[tuple[int, int]]:
    """Offsets within a centred square of odd ``side``, one of each opposite pair."""
    reach = side // 2
    return [(dy, dx) for dy in range(reach + 1) for dx in range(-reach, reach + 1) if (dy, dx) > (0, 0)]


def overlap(dy: int, dx: int, height: int, width: int) -> tuple[tuple[slice, slice], tuple[slice, slice]]:
    """Rows and columns of the cells that have a neighbour at (dy, dx), dy ≥ 0, and those of the neighbours."""
    rows = max(0, height - dy)
    first, last = max(0, -dx), max(max(0, -dx), min(width, width - dx))
    return (slice(0, rows), slice(first, last)), (slice(dy, dy + rows), slice(first + dx, last + dx))
