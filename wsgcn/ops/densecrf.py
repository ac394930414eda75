"""Dense CRF of Krähenbühl and Koltun (NIPS 2011): the only module that imports pydensecrf."""

from __future__ import annotations

import math
from typing import Protocol

import numpy as np
import pydensecrf.densecrf
import pydensecrf.eigen
from numpy.typing import NDArray

from wsgcn.errors import DataError

LATTICE_KEY = 32_700
"""Largest coordinate of a cell of the library's lattice, which it keeps in 16 bits, with some room for neighbours."""


class CrfParams(Protocol):
    """The numbers of one use of the dense CRF; standard deviations in pixels and in grey levels of 0 … 255."""

    @property
    def iterations(self) -> int: ...  # noqa: D102
    @property
    def gaussian_sxy(self) -> float: ...  # noqa: D102
    @property
    def gaussian_compat(self) -> float: ...  # noqa: D102
    @property
    def bilateral_sxy(self) -> float: ...  # noqa: D102
    @property
    def bilateral_srgb(self) -> float: ...  # noqa: D102
    @property
    def bilateral_compat(self) -> float: ...  # noqa: D102


def dense_crf(
    probs: NDArray[np.float32], rgb_u8: NDArray[np.uint8], params: CrfParams, stride: int = 1
) -> NDArray[np.float32]:
    """Refine class probabilities with the colours of the photograph by mean-field inference.

    Args:
        probs: ``(K, H, W)`` in [0, 1], summing to 1 over K; values below 1e-5 count as 1e-5.
        rgb_u8: ``(H, W, 3)`` uint8 photograph of the same size.
        params: iterations, standard deviations and compatibilities.
        stride: pixels a cell of these maps, by which the standard deviations in pixels are divided.

    Returns:
        ``(K, H, W)`` float32 probabilities. With no iteration, or with one class, ``probs`` itself.

    Raises:
        ValueError: the sizes differ.
    """
    classes, height, width = probs.shape
    if rgb_u8.shape != (height, width, 3):
        raise ValueError(f"photograph {rgb_u8.shape} does not fit probabilities {probs.shape}")
    if params.iterations == 0 or classes == 1:
        return probs
    unary = -np.log(np.clip(probs, 1e-5, 1.0)).reshape(classes, -1)
    return mean_field(np.ascontiguousarray(unary, dtype=np.float32), np.ascontiguousarray(rgb_u8), params, stride)


def mean_field(
    unary: NDArray[np.float32], rgb_u8: NDArray[np.uint8], params: CrfParams, stride: int = 1
) -> NDArray[np.float32]:
    """The library's own call, on what it takes: energies ``(K, H W)`` and ``(H, W, 3)``, both contiguous.

    Returns:
        ``(K, H, W)`` probabilities.

    Raises:
        DataError: the photograph is too large for standard deviations so small.
    """
    height, width = rgb_u8.shape[:2]
    require_lattice(height, width, params.gaussian_sxy / stride)
    require_lattice(height, width, params.bilateral_sxy / stride, params.bilateral_srgb)
    crf = pydensecrf.densecrf.DenseCRF2D(width, height, len(unary))
    crf.setUnaryEnergy(unary)
    crf.addPairwiseGaussian(sxy=params.gaussian_sxy / stride, compat=params.gaussian_compat)
    crf.addPairwiseBilateral(
        sxy=params.bilateral_sxy / stride,
        srgb=params.bilateral_srgb,
        rgbim=rgb_u8,
        compat=params.bilateral_compat,
    )
    refined = crf.inference(params.iterations)
    return np.array(refined, dtype=np.float32).reshape(-1, height, width)


def require_lattice(height: int, width: int, sigma_xy: float, sigma_rgb: float | None = None) -> None:
    """Refuse what the library's lattice has no room for: beyond it, it mixes up places, and then writes anywhere.

    Args:
        height: rows of the photograph.
        width: its columns.
        sigma_xy: standard deviation in cells of these.
        sigma_rgb: in grey levels of 0 … 255; None for a kernel of places alone.

    Raises:
        DataError: there is no room.
    """
    sides = [width / sigma_xy, height / sigma_xy, *([] if sigma_rgb is None else [255 / sigma_rgb] * 3)]
    # Each feature times its factor in ``Permutohedral::init``; the first coordinate is their sum, the last one of a
    # single feature.
    factors = [math.sqrt(2 / 3) * (len(sides) + 1) / math.sqrt((at + 2) * (at + 1)) for at in range(len(sides))]
    scaled = [side * factor for side, factor in zip(sides, factors)]
    if max(sum(scaled), *(at * one for at, one in enumerate(scaled, 1))) > LATTICE_KEY:
        colours = "" if sigma_rgb is None else f" and {sigma_rgb:g} grey levels"
        raise DataError(
            f"a dense CRF of {width} x {height} cells cannot have standard deviations of {sigma_xy:g} cells{colours}: "
            "choose larger ones"
        )


def bilateral_filter(
    maps: NDArray[np.float32], rgb_u8: NDArray[np.uint8], sigma_xy: float, sigma_rgb: float
) -> NDArray[np.float32]:
    """Sums over all pixels, weighted with a Gaussian of place and colour, by the dense CRF's permutohedral lattice.

    The lattice gives about half of the exact sums where they are large, and a smaller share where few pixels are alike.

    Args:
        maps: ``(K, H, W)``.
        rgb_u8: ``(H, W, 3)`` uint8 photograph of the same size.
        sigma_xy: standard deviation in pixels.
        sigma_rgb: standard deviation in grey levels of 0 … 255.

    Returns:
        ``(K, H, W)`` float32, not divided by the sum of the weights.

    Raises:
        ValueError: the sizes differ.
        DataError: the photograph is too large for standard deviations so small.

    Source: Adams, Baek, Davis, "Fast High-Dimensional Filtering Using the Permutohedral Lattice" (Eurographics 2010).
    """
    count, height, width = maps.shape
    if rgb_u8.shape != (height, width, 3):
        raise ValueError(f"photograph {rgb_u8.shape} does not fit maps {maps.shape}")
    require_lattice(height, width, sigma_xy, sigma_rgb)
    crf = pydensecrf.densecrf.DenseCRF2D(width, height, count)
    crf.addPairwiseBilateral(
        sxy=sigma_xy,
        srgb=sigma_rgb,
        rgbim=np.ascontiguousarray(rgb_u8),
        compat=-1,  # the library adds the sums times -compat
        normalization=pydensecrf.densecrf.NO_NORMALIZATION,
    )
    # A step of inference filters its first matrix into its third; the second one gets the new energies.
    flat = np.ascontiguousarray(maps, dtype=np.float32).reshape(count, -1)
    given, energies, sums = (pydensecrf.eigen.matrixXf(one) for one in (flat, np.zeros_like(flat), np.zeros_like(flat)))
    crf.stepInference(given, energies, sums)
    return np.array(sums, dtype=np.float32).reshape(maps.shape)


def label_probs(labels: NDArray[np.integer], classes: int, gt_prob: float) -> NDArray[np.float32]:
    """Probabilities for hard labels: ``gt_prob`` for the label, the rest shared by the others.

    Args:
        labels: ``(H, W)`` positions in 0 … ``classes`` - 1.
        classes: number of classes K.
        gt_prob: confidence in the label, in (0, 1).

    Returns:
        ``(K, H, W)`` float32.

    Source: ``unary_from_labels`` of pydensecrf, which IRNet's training labels use with 0.7.
    """
    if classes == 1:
        return np.ones((1, *labels.shape), dtype=np.float32)
    hit = labels[None] == np.arange(classes)[:, None, None]
    return np.where(hit, gt_prob, (1 - gt_prob) / (classes - 1)).astype(np.float32)
