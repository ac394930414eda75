"""The affinity graph of one image as sparse matrices, from the stencil that stage ``affinity`` wrote.

A matrix here has about 66 entries a row, so every product costs O(N); nothing is ever N × N.
"""

from __future__ import annotations

import warnings
from typing import Literal, TypeAlias

import numpy as np
import scipy.sparse
import torch
from numpy.typing import NDArray
from scipy.sparse import csr_array
from torch import Tensor

from wsgcn.ops.stencil import overlap

Sparse: TypeAlias = csr_array


def adjacency(offsets: NDArray[np.integer], weights: NDArray[np.floating]) -> Sparse:
    """The affinity matrix A of eq. (1).

    Args:
        offsets: ``(O, 2)`` (dy, dx) from a cell to a neighbour, each pair of cells once.
        weights: ``(O, h, w)`` in [0, 1], 0 where the neighbour lies outside the grid.

    Returns:
        ``(N, N)`` symmetric, with A_ii = 1, in the precision of ``weights``.
    """
    count, height, width = weights.shape
    # Row i of ``values`` holds the entries of cell i in the order of their columns: neighbours before it, the cell
    # itself, neighbours after it. That is CSR already, once those that lie outside are dropped; nothing is sorted.
    values = np.zeros((height, width, 2 * count + 1), weights.dtype)
    inside = np.zeros(values.shape, dtype=bool)
    values[..., count], inside[..., count] = 1, True
    order = np.lexsort((offsets[:, 1], offsets[:, 0]))
    for place, number in enumerate(order, start=1):
        dy, dx = offsets[number].tolist()
        here, there = overlap(dy, dx, height, width)
        for cells, column in ((here, count + place), (there, count - place)):
            values[*cells, column], inside[*cells, column] = weights[number][here], True
    jumps = offsets[order] @ [width, 1]
    steps = np.concatenate([-jumps[::-1], [0], jumps])
    nodes = height * width
    columns = (np.arange(nodes)[:, None] + steps).astype(np.int32)
    flat = inside.reshape(nodes, -1)
    ends = np.concatenate([[0], np.cumsum(flat.sum(axis=1))]).astype(np.int32)
    entries = (values.reshape(nodes, -1)[flat], columns[flat], ends)
    return csr_array(entries, shape=(nodes, nodes))


def walk_operator(affinity: Sparse, beta: float) -> Sparse:
    """The random walk's transition: rows of A^β (entry by entry) divided by their sums.

    IRNet and PSA divide columns and multiply scores from the left, which for a symmetric A is the same.
    """
    return _divide_rows(affinity.power(beta))


def normalise(affinity: Sparse, kind: Literal["row", "symmetric", "none"]) -> Sparse:
    """Ã = A + I of eq. (1), normalised.

    Args:
        affinity: ``(N, N)`` matrix A.
        kind: ``none`` as the paper prints it; ``row`` divides rows by their sums, as the public code does;
            ``symmetric`` is D^-1/2 (A + I) D^-1/2, as in Kipf and Welling (ICLR 2017).
    """
    extended = (affinity + scipy.sparse.eye_array(affinity.shape[0], dtype=affinity.dtype)).tocsr()
    if kind == "none":
        return extended
    if kind == "row":
        return _divide_rows(extended)
    root = scipy.sparse.diags_array(extended.sum(axis=1) ** -0.5)
    return (root @ extended @ root).tocsr()


def _divide_rows(matrix: Sparse) -> Sparse:
    scaled = matrix.copy()
    scaled.data /= np.repeat(matrix.sum(axis=1), np.diff(matrix.indptr))
    return scaled


def to_torch(matrix: Sparse) -> Tensor:
    """The same matrix as a torch CSR tensor with 32-bit indices, which halve what a product reads of them."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Sparse CSR tensor support is in beta")
        return torch.sparse_csr_tensor(
            torch.from_numpy(matrix.indptr.astype(np.int32)),
            torch.from_numpy(matrix.indices.astype(np.int32)),
            torch.from_numpy(matrix.data),
            matrix.shape,
            check_invariants=False,
        )
