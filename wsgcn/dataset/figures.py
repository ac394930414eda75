"""What is drawn on the faces of made-up animals: it tells their class.

A figure maps coordinates ``u, v`` in [-1, 1] on the face to a level that is positive where ink is. The demo's cover
about half of a face each, so that no class is told by how dark it is.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

Map = NDArray[np.float64]
Figure = Callable[[Map, Map], Map]

DEMO: tuple[Figure, ...] = (
    lambda u, v: u,  # half
    lambda u, v: 0.24 - np.minimum(abs(u), abs(v)),  # cross
    lambda u, v: np.cos(2.5 * np.pi * u),  # stripes
    lambda u, v: np.sin(1.75 * np.pi * u) * np.sin(1.75 * np.pi * v),  # checker
    lambda u, v: 0.2 - abs(np.hypot(u, v) - 0.56),  # ring
)
"""The demo's, by class id - 1."""


def _pinwheel(arms: int, twist: float) -> Figure:
    return lambda u, v: np.cos(arms * np.arctan2(v, u) + twist * np.hypot(u, v))


def _polygon(corners: int, radius: float) -> Figure:
    angles = 2 * np.pi * np.arange(corners) / corners
    return lambda u, v: radius - np.max([u * np.cos(one) + v * np.sin(one) for one in angles], axis=0)


def _dots(radius: float, *centres: tuple[float, float]) -> Figure:
    return lambda u, v: radius - np.min([np.hypot(u - x, v - y) for x, y in centres], axis=0)


def _bars(thickness: float, *bars: tuple[float, float, float, float]) -> Figure:
    """Bars of half a ``thickness``, each with its centre and half its width and height beyond that."""
    return lambda u, v: (
        thickness
        - np.min([np.maximum(abs(u - x) - width, abs(v - y) - height) for x, y, width, height in bars], axis=0)
    )


OTHERS: tuple[Figure, ...] = (
    _pinwheel(3, 0),
    _pinwheel(5, 0),
    _pinwheel(2, 5),
    _pinwheel(1, 8),
    _pinwheel(3, 6),
    _polygon(3, 0.42),
    _polygon(4, 0.5),
    _dots(0.34, (-0.5, 0), (0.5, 0)),
    _dots(0.3, (0, -0.55), (0.5, 0.35), (-0.5, 0.35)),
    _dots(0.24, (-0.45, -0.45), (0.45, -0.45), (-0.45, 0.45), (0.45, 0.45), (0, 0)),
    _dots(0.6, (0, 0)),
    _bars(0.15, (0, -0.5, 0.5, 0), (0, 0.2, 0, 0.5)),  # T
    _bars(0.15, (-0.4, 0, 0, 0.55), (0, 0.4, 0.45, 0)),  # L
    _bars(0.15, (-0.45, 0, 0, 0.5), (0.45, 0, 0, 0.5), (0, 0, 0.4, 0)),  # H
    _bars(0.16, (0, -0.4, 0.7, 0), (0, 0.4, 0.7, 0)),
    _bars(0.3, (0, 0, 0.7, 0)),
    lambda u, v: np.minimum(0.75 - np.hypot(u, v), np.hypot(u - 0.4, v) - 0.6),  # crescent
    lambda u, v: 0.2 - abs(np.maximum(abs(u), abs(v)) - 0.5),  # frame
    lambda u, v: np.cos(2 * np.pi * (v + 0.5 * abs(u))) - 0.2,  # chevrons
    lambda u, v: 0.22 - abs(v - 0.4 * np.sin(4 * u)),  # wave
)
"""Those of the pictures that pre-train the demo's backbone; none is a figure of the demo."""


def covered(figures: Sequence[Figure], size: int = 64) -> list[float]:
    """Share of a face that the ink of each figure covers, on a grid of ``size`` cells a side."""
    v, u = np.mgrid[-1 : 1 : size * 1j, -1 : 1 : size * 1j]
    face = np.hypot(u, v) < 1
    return [float((figure(u, v)[face] > 0).mean()) for figure in figures]
