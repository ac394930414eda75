"""Slow, obvious versions of GroupWSSS's graph: one photograph, cell and number at a time, float64."""

from __future__ import annotations

import math

import numpy as np


def _sigmoid(value: float) -> float:
    return 1 / (1 + math.exp(-value))


def message_slow(one: np.ndarray, other: np.ndarray, asked, answering, gate: np.ndarray) -> np.ndarray:
    """``(C, h, w)`` maps of two photographs: what the first hears of the second, ``(C, h, w)``.

    Args:
        one: of the one that hears.
        other: of the one that tells.
        asked: weight ``(d, C)`` and bias ``(d,)`` of the first's questions.
        answering: likewise of the second's answers.
        gate: ``(C,)``.
    """
    heard = np.zeros_like(one)
    for cell in np.ndindex(*one.shape[1:]):
        question = asked[0] @ one[:, *cell] + asked[1]
        powers, told = [], []
        for place in np.ndindex(*other.shape[1:]):
            powers.append(math.exp(question @ (answering[0] @ other[:, *place] + answering[1])))
            told.append(other[:, *place])
        mean = sum(power * maps for power, maps in zip(powers, told)) / sum(powers)
        heard[:, *cell] = mean * _sigmoid(gate @ mean)
    return heard


def fused_slow(maps: np.ndarray, weight: np.ndarray, bias: np.ndarray) -> np.ndarray:
    """A 3 × 3 convolution of ``(M, h, w)`` maps with zeros around them, ``(C, h, w)``."""
    found = np.zeros((len(bias), *maps.shape[1:]))
    for row, column in np.ndindex(*maps.shape[1:]):
        found[:, row, column] = bias
        for down, right in np.ndindex(3, 3):
            y, x = row + down - 1, column + right - 1
            if 0 <= y < maps.shape[1] and 0 <= x < maps.shape[2]:
                found[:, row, column] += weight[:, :, down, right] @ maps[:, y, x]
    return found


def remembered_slow(message: np.ndarray, state: np.ndarray, update, reset, out) -> np.ndarray:
    """The gated recurrent unit in each cell; its three layers are pairs of a weight ``(C, 2C)`` and a bias ``(C,)``."""
    found = np.zeros_like(state)
    for cell in np.ndindex(*state.shape[1:]):
        heard, old = message[:, *cell], state[:, *cell]
        both = np.concatenate([heard, old])
        let_in = np.array([_sigmoid(one) for one in update[0] @ both + update[1]])
        kept = np.array([_sigmoid(one) for one in reset[0] @ both + reset[1]])
        proposed = np.tanh(out[0] @ np.concatenate([heard, kept * old]) + out[1])
        found[:, *cell] = (1 - let_in) * old + let_in * proposed
    return found


def dropped_slow(state: np.ndarray, drops: bool, threshold: float) -> np.ndarray:
    """``(C, h, w)`` after the graph dropout, if it drops the strongest cells or if it does not."""
    mean = state.mean(axis=0)
    found = np.empty_like(state)
    for cell in np.ndindex(*mean.shape):
        share = float(mean[cell] < threshold * mean.max()) if drops else _sigmoid(mean[cell])
        found[:, *cell] = (state[:, *cell] * share + state[:, *cell]) / 2
    return found
