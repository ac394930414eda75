"""The graph convolutional network of eq. (1), and how one is learned for a single image."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor
from torch.optim import Adam

from wsgcn.propagate.losses import GcnObjective
from wsgcn.propagate.walked import WalkedGraph


class FitParams(Protocol):
    """Numbers of the optimisation; an entry of kind ``gcn`` has them."""

    @property
    def hidden(self) -> int: ...  # noqa: D102
    @property
    def bias(self) -> bool: ...  # noqa: D102
    @property
    def dropout(self) -> float: ...  # noqa: D102
    @property
    def steps(self) -> int: ...  # noqa: D102
    @property
    def lr(self) -> float: ...  # noqa: D102
    @property
    def weight_decay(self) -> float: ...  # noqa: D102


@dataclass(frozen=True)
class Gcn:
    """Q = softmax(Ã ReLU(Ã V W1 + b1) W2 + b2) of B images at once, each with weights of its own.

    Eq. (1) has no b1 and b2, the public code has them. They matter where ReLU leaves nothing of a node and its
    neighbours: without b2 all its classes are then equally likely, and no gradient changes that.

    N is the number of nodes of one image; smaller ones are padded (``propagate/batch.py``).

    Attributes:
        graph: Ã of all images, ``(B N, B N)``, block-diagonal: CSR, or of many steps of a walk.
        transposed: Ãᵀ, which the gradient needs.
        w1: ``(B, F, hidden)``.
        w2: ``(B, hidden, K)``.
        b1: ``(B, 1, hidden)``.
        b2: ``(B, 1, K)``.
    """

    graph: Tensor | WalkedGraph
    transposed: Tensor | WalkedGraph
    w1: Tensor
    w2: Tensor
    b1: Tensor
    b2: Tensor

    def hidden(self, propagated: Tensor) -> Tensor:
        """ReLU(Ã V W1 + b1), ``(B, N, hidden)``, from Ã V ``(B, N, F)``, the same at every step, so computed once."""
        return torch.relu_(torch.baddbmm(self.b1, propagated, self.w1))

    def logits(self, hidden: Tensor) -> Tensor:
        """Ã H W2 + b2, ``(B N, K)``, from H ``(B, N, hidden)``."""
        diffused = self.graph @ (hidden @ self.w2).flatten(0, 1)  # K columns go through the graph, not the hidden ones
        return (diffused.unflatten(0, hidden.shape[:2]) + self.b2).flatten(0, 1)

    def gradients(self, propagated: Tensor, hidden: Tensor, d_logits: Tensor, scale: float = 1) -> tuple[Tensor, ...]:
        """Of W1, W2, b1 and b2, from the gradient of the logits.

        Args:
            propagated: Ã V, ``(B, N, F)``.
            hidden: what :meth:`logits` was given; where ReLU or dropout left 0, no gradient passes.
            d_logits: ``(B N, K)``.
            scale: what dropout multiplied the others by.
        """
        d_scores = (self.transposed @ d_logits).unflatten(0, hidden.shape[:2])
        d_hidden = (d_scores @ (scale * self.w2).mT).mul_(hidden.sign())  # hidden is never negative
        d_w2 = (d_scores.mT @ hidden).mT  # four times as fast as hidden.mT @ d_scores
        d_b2 = d_logits.unflatten(0, hidden.shape[:2]).sum(dim=1, keepdim=True)
        # Adam wants the layout of the weights.
        return propagated.mT @ d_hidden, d_w2.contiguous(), d_hidden.sum(dim=1, keepdim=True), d_b2


class Dropout:
    """Inverted dropout whose masks depend on the images' seeds alone, not on the device or on the batch.

    A value's byte of randomness comes from its place and the number of the call by SplitMix64 (Steele, Lea and Flood,
    OOPSLA 2014); so the rate is a multiple of 1/256. A float for each value would be a seventh of a training step.

    Attributes:
        scale: what the values that stay are multiplied by.
    """

    def __init__(self, rate: float, seeds: Tensor):
        """Make one for as many images as there are ``seeds``, ``(B,)`` int64."""
        self._dropped = min(round(256 * rate), 255)
        self.scale = 256 / (256 - self._dropped)
        self._seeds = seeds
        self._calls = 0

    def __call__(self, values: Tensor) -> Tensor:
        """Drop some of the ``(B, N, hidden)`` values, in place; padding at the end of N changes nothing before it."""
        count = values[0].numel()
        places = torch.arange(math.ceil(count / 8), device=values.device)
        # 2^40 words a call are more than an image has.
        words = _splitmix64(self._seeds[:, None] + ((self._calls << 40) + places) * _GOLDEN)
        self._calls += 1
        byte = words.view(torch.uint8)[:, :count].reshape(values.shape).to(values.dtype)
        keep = byte.sub_(self._dropped - 1).clamp_(0, 1)  # 1 from ``_dropped`` on, else 0; a bool would be slower
        return values.mul_(keep).mul_(self.scale)


_GOLDEN, _MIX1, _MIX2 = (number - 2**64 for number in (0x9E3779B97F4A7C15, 0xBF58476D1CE4E5B9, 0x94D049BB133111EB))
"""Constants of SplitMix64, as signed 64-bit numbers."""


def _splitmix64(state: Tensor) -> Tensor:
    """Mix int64 states, in place, into words of which every bit looks random; integers are the same on every device."""
    for shift, factor in ((30, _MIX1), (27, _MIX2), (31, 1)):
        state ^= (state >> shift) & ((1 << (64 - shift)) - 1)  # the mask makes it a shift of unsigned numbers
        if factor != 1:
            state *= factor
    return state


def initial_weights(rows: int, columns: int, generator: torch.Generator, dtype: torch.dtype) -> Tensor:
    """``(rows, columns)`` drawn uniformly from ±1 / √columns, as the public code does."""
    bound = 1 / math.sqrt(columns)
    draw = torch.rand((rows, columns), generator=generator, dtype=torch.float64)
    return ((2 * draw - 1) * bound).to(dtype)


@dataclass(frozen=True)
class Problem:
    """What is to be learned for B images, each by itself; N and K are those of the largest.

    Attributes:
        graph: Ã, ``(B N, B N)``, block-diagonal: CSR, or of many steps of a walk.
        transposed: Ãᵀ.
        propagated: Ã V, ``(B, N, F)``.
        objective: eq. (2) of all images.
        classes: K of each image.
        generators: the only source of randomness, one an image.
    """

    graph: Tensor | WalkedGraph
    transposed: Tensor | WalkedGraph
    propagated: Tensor
    objective: GcnObjective
    classes: Sequence[int]
    generators: Sequence[torch.Generator]


def fit(problem: Problem, params: FitParams) -> tuple[Tensor, Tensor]:
    """Learn the two weight matrices of each image, and the biases if wanted, and predict its nodes.

    Args:
        problem: graphs, features, labels.
        params: width, biases, dropout, steps, rates.

    Returns:
        Q ``(B, N, K)`` without dropout, and the ``(B, steps, 5)`` losses.
    """
    propagated = problem.propagated
    gcn, seeds = _start(problem, params)
    learned = [gcn.w1, gcn.w2, *((gcn.b1, gcn.b2) if params.bias else ())]
    optimizer = Adam(learned, lr=params.lr, weight_decay=params.weight_decay, fused=True)
    dropout = Dropout(params.dropout, seeds)
    losses = propagated.new_empty((len(propagated), params.steps, 5))
    for step in range(params.steps):
        hidden = dropout(gcn.hidden(propagated))
        losses[:, step], d_logits = problem.objective(gcn.logits(hidden))
        for weights, gradient in zip(learned, gcn.gradients(propagated, hidden, d_logits, dropout.scale)):
            weights.grad = gradient
        optimizer.step()
    return problem.objective.probs(gcn.logits(gcn.hidden(propagated))).unflatten(0, propagated.shape[:2]), losses


def _start(problem: Problem, params: FitParams) -> tuple[Gcn, Tensor]:
    """The GCN with its first weights, and a seed an image for dropout.

    Weights are 0 in columns that only other images have; biases are 0 if none are wanted.
    """
    propagated = problem.propagated
    count, _, features = propagated.shape
    w1 = propagated.new_empty((count, features, params.hidden))
    w2 = propagated.new_zeros((count, params.hidden, max(problem.classes)))
    b1, b2 = w1.new_zeros((count, 1, params.hidden)), w2.new_zeros((count, 1, max(problem.classes)))
    seeds = []
    for image, (classes, generator) in enumerate(zip(problem.classes, problem.generators)):
        w1[image] = initial_weights(features, params.hidden, generator, propagated.dtype)
        w2[image, :, :classes] = initial_weights(params.hidden, classes, generator, propagated.dtype)
        if params.bias:
            b1[image] = initial_weights(1, params.hidden, generator, propagated.dtype)
            b2[image, :, :classes] = initial_weights(1, classes, generator, propagated.dtype)
        seeds.append(torch.randint(2**63 - 1, (), generator=generator))
    return Gcn(problem.graph, problem.transposed, w1, w2, b1, b2), torch.stack(seeds).to(propagated.device)
