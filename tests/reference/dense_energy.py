"""Slow, obvious, dense version of the dense energy: every pair of pixels and of classes by itself, in float64."""

from __future__ import annotations

import math

import numpy as np

UNLABELLED = 255


def gaussian_kernel_dense(rgb: np.ndarray, sigma_xy: float, sigma_rgb: float) -> np.ndarray:
    """``(H, W, 3)`` colours to the ``(H W, H W)`` kernel exp(-d²/2) of places and colours over their deviations."""
    height, width, _ = rgb.shape
    kernel = np.zeros((height * width, height * width))
    for i in range(height * width):
        for j in range(height * width):
            (y, x), (v, u) = divmod(i, width), divmod(j, width)
            places = ((y - v) ** 2 + (x - u) ** 2) / sigma_xy**2
            colours = sum((float(a) - float(b)) ** 2 for a, b in zip(rgb[y, x], rgb[v, u])) / sigma_rgb**2
            kernel[i, j] = math.exp(-(places + colours) / 2)
    return kernel


def gate_dense(probs: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """``(C, N)`` probabilities and ``(N,)`` labels to ``(N,)``: 1 - max P of a labelled pixel, 1 of the others."""
    return np.array([1.0 if label == UNLABELLED else 1 - probs[:, i].max() for i, label in enumerate(labels)])


def dense_energy_dense(
    probs: np.ndarray, kernel: np.ndarray, gates: np.ndarray, inside: np.ndarray
) -> tuple[float, float]:
    """The sum over pairs of pixels of gate, kernel and products of probabilities of different classes, as printed.

    Args:
        probs: ``(C, N)``.
        kernel: ``(N, N)``.
        gates: ``(N,)``.
        inside: ``(N,)`` bool.

    Returns:
        The sum, and what it would be if all pairs of classes counted, equal ones too: the public code leaves this out,
        since it does not depend on which class is where.
    """
    energy = of_all = 0.0
    classes, count = probs.shape
    for i in np.flatnonzero(inside):
        for j in np.flatnonzero(inside):
            for a in range(classes):
                for b in range(classes):
                    product = gates[i] * kernel[i, j] * probs[a, i] * probs[b, j]
                    of_all += product
                    energy += product if a != b else 0.0
    assert count == len(gates)
    return energy, of_all
