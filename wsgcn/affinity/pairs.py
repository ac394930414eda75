"""Affinity of each cell with its neighbours, and the loss that teaches it: pure functions on grids."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from wsgcn.ops.stencil import overlap
from wsgcn.training.distributed import shared_count
from wsgcn.vocabulary import BACKGROUND, IGNORE

PairAffinity = Callable[[Tensor, tuple[int, int]], Tensor]
"""``(B, F, h, w)`` maps and an offset (dy, dx) to the ``(B, h', w')`` affinities of the pairs that the grid holds."""

_EPSILON = 1e-5
"""Keeps logarithms finite; IRNet's and PSA's value."""

GROUP_SHARES = (0.25, 0.25, 0.5)
"""Of the loss: pairs of background, pairs of one foreground class, and pairs of different labels."""

_CACHE = 4_000_000
"""Bytes of maps that the loss takes at a time, so that a processor has them at hand for every offset."""


def path_cells(dy: int, dx: int) -> list[tuple[int, int]]:
    """Cells (y, x) on the straight path from (0, 0) to (dy, dx), dy ≥ 0, both ends included.

    A cell of the bounding box lies on the path when (dy·x - dx·y)² / (dy² + dx²) < 1: its centre is less than a cell
    away from the line.

    Source: IRNet (Ahn et al., CVPR 2019), section 4.2.
    """
    columns = range(min(0, dx), max(0, dx) + 1)
    length = dy * dy + dx * dx
    return [(y, x) for y in range(dy + 1) for x in columns if (dy * x - dx * y) ** 2 < length]


def boundary_affinity(boundary: Tensor, offset: tuple[int, int]) -> Tensor:
    """IRNet's a_ij = 1 - max of the boundary over the straight path from i to j.

    Args:
        boundary: ``(B, 1, h, w)`` in [0, 1].
        offset: (dy, dx), dy ≥ 0.

    Returns:
        ``(B, h', w')`` in [0, 1] for the cells i that have a neighbour there.
    """
    height, width = boundary.shape[2:]
    rows, columns = overlap(*offset, height, width)[0]
    values = boundary[:, 0]
    # The maximum is one cell's value: finding the cell needs no gradient, and taking its value has a cheap one.
    with torch.no_grad():
        cells = torch.arange(height * width, device=values.device).reshape(height, width)[rows, columns]
        highest = torch.full_like(values[:, rows, columns], -1)
        where = torch.zeros(highest.shape, dtype=torch.long, device=values.device)
        for y, x in path_cells(*offset):
            shifted = values[:, rows.start + y : rows.stop + y, columns.start + x : columns.stop + x]
            where.masked_fill_(shifted > highest, y * width + x)
            torch.maximum(highest, shifted, out=highest)
        where += cells
    return 1 - values.flatten(1).gather(1, where.flatten(1)).reshape(where.shape)


def feature_affinity(features: Tensor, offset: tuple[int, int]) -> Tensor:
    """PSA's a_ij = exp(-mean over channels of |f_i - f_j|).

    Args:
        features: ``(B, F, h, w)``.
        offset: (dy, dx), dy ≥ 0.

    Returns:
        ``(B, h', w')`` in (0, 1] for the cells i that have a neighbour there.
    """
    here, there = overlap(*offset, features.shape[2], features.shape[3])
    return torch.exp(-(features[:, :, *here] - features[:, :, *there]).abs().mean(dim=1))


def stencil_weights(maps: Tensor, affinity: PairAffinity, offsets: Sequence[tuple[int, int]]) -> Tensor:
    """Affinities of one image for every offset.

    Args:
        maps: ``(1, F, h, w)`` boundary or features.
        affinity: :func:`boundary_affinity` or :func:`feature_affinity`.
        offsets: O offsets (dy, dx).

    Returns:
        ``(O, h, w)`` in [0, 1], 0 where the neighbour lies outside the grid.
    """
    height, width = maps.shape[2:]
    weights = maps.new_zeros((len(offsets), height, width))
    for weight, offset in zip(weights, offsets):
        here, _ = overlap(*offset, height, width)
        weight[here] = affinity(maps, offset)[0]
    return weights


def pair_loss(maps: Tensor, labels: Tensor, affinity: PairAffinity, offsets: Sequence[tuple[int, int]]) -> Tensor:
    """Pull pairs of one label together and push pairs of two labels apart.

    -log a over pairs of background and over pairs of one foreground class, -log(1 - a) over pairs of different labels;
    each averaged over its pairs, weighted 1/4, 1/4 and 1/2. A group without pairs contributes 0.

    Args:
        maps: ``(B, F, h, w)`` boundary or features.
        labels: ``(B, h, w)`` class ids, 255 = ignored.
        affinity: :func:`boundary_affinity` or :func:`feature_affinity`.
        offsets: pairs that count, as (dy, dx).

    Returns:
        Scalar ≥ 0.

    Source: IRNet's section 4.2 and PSA's section 3.3; both public implementations weigh alike.
    """
    groups = [_pair_groups(labels, offset) for offset in offsets]
    shares = maps.new_tensor(GROUP_SHARES) / _counts(groups)
    together = max(1, _CACHE // (maps[:1].numel() * maps.element_size()))
    total = maps.new_zeros(())
    for part, those in zip(maps.split(together), zip(*(group.split(together, dim=1) for group in groups))):
        for offset, (background, foreground, different) in zip(offsets, those):
            pairs = affinity(part, offset)
            cost = -torch.log(torch.where(different, 1 - pairs, pairs) + _EPSILON)
            total = total + (cost * (background * shares[0] + foreground * shares[1] + different * shares[2])).sum()
    return total


def pair_counts(maps: Tensor, labels: Tensor, affinity: PairAffinity, offsets: Sequence[tuple[int, int]]) -> Tensor:
    """What :func:`pair_loss` and the balanced accuracy of these pairs are made of.

    An affinity is right above 1/2 between equal labels and up to 1/2 between different ones.

    Args:
        maps: ``(B, F, h, w)`` boundary or features.
        labels: ``(B, h, w)`` class ids, 255 = ignored.
        affinity: :func:`boundary_affinity` or :func:`feature_affinity`.
        offsets: pairs that count, as (dy, dx).

    Returns:
        ``(3, 3)``: for pairs of background, of one foreground class and of different labels, their number, the sum of
        their costs, and how many are right. Those of several batches can be added up.
    """
    total = maps.new_zeros((3, 3), dtype=torch.float64)
    for one, its_labels in zip(maps.split(1), labels.split(1)):
        for offset in offsets:
            groups = _pair_groups(its_labels, offset)
            pairs = affinity(one, offset)
            alike = torch.where(groups[2], 1 - pairs, pairs)
            right = torch.where(groups[2], pairs <= 0.5, pairs > 0.5)
            for number, value in enumerate((torch.ones_like(alike), -torch.log(alike + _EPSILON), right)):
                total[:, number] += (groups * value).flatten(1).sum(1)
    return total


def displacement_loss(field: Tensor, labels: Tensor, offsets: Sequence[tuple[int, int]]) -> Tensor:
    """Pull the ways to the centre from two cells of one object together, and level those of the background.

    For a pair j = i + offset: |D_i - D_j - offset| where both show one foreground class, |D_i - D_j| where both are
    background; each averaged over its pairs and both directions, weighted 1/2. A group without pairs contributes 0.

    Args:
        field: D, ``(B, 2, h, w)``: rows and columns, in cells.
        labels: ``(B, h, w)`` class ids, 255 = ignored.
        offsets: pairs that count, as (dy, dx).

    Returns:
        Scalar ≥ 0.

    Source: IRNet's section 4.2 and the weights of its public code.
    """
    groups = [_pair_groups(labels, offset) for offset in offsets]
    shares = field.new_tensor([0.25, 0.25, 0]) / _counts(groups)
    total = field.new_zeros(())
    for offset, (background, foreground, _) in zip(offsets, groups):
        here, there = overlap(*offset, *labels.shape[1:])
        apart = field[:, :, *here] - field[:, :, *there]  # (B, 2, h', w')
        target = field.new_tensor(offset)[:, None, None]
        total = total + (apart.abs().sum(1) * background).sum() * shares[0]
        total = total + ((apart - target).abs().sum(1) * foreground).sum() * shares[1]
    return total


def _counts(groups: Sequence[Tensor]) -> Tensor:
    """Pairs of each of the three groups over all offsets, as :func:`~wsgcn.training.distributed.shared_count`."""
    return shared_count(torch.stack([group.flatten(1).sum(1) for group in groups]).sum(0))


def _pair_groups(labels: Tensor, offset: tuple[int, int]) -> Tensor:
    """``(3, B, h', w')`` bool: pairs of background, of one foreground class, and of two different labels."""
    here, there = overlap(*offset, labels.shape[1], labels.shape[2])
    first, second = labels[:, *here], labels[:, *there]
    confident = (first != IGNORE) & (second != IGNORE)
    same = confident & (first == second)
    return torch.stack([same & (first == BACKGROUND), same & (first != BACKGROUND), confident & (first != second)])
