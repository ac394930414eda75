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
    height, width = weights.shape[1:]
    cells = np.arange(height * width, dtype=np.int32).reshape(height, width)
    rows, columns, values = [cells.ravel()], [cells.ravel()], [np.ones(cells.size, weights.dtype)]
    for (dy, dx), weight in zip(offsets, weights):
        here, there = overlap(dy, dx, height, width)
        start, end, value = cells[here].ravel(), cells[there].ravel(), weight[here].ravel()
        rows += [start, end]
        columns += [end, start]
        values += [value, value]
    entries = (np.concatenate(values), (np.concatenate(rows), np.concatenate(columns)))
    matrix: Sparse = scipy.sparse.coo_array(entries, shape=(cells.size, cells.size)).tocsr()
    matrix.eliminate_zeros()
    return matrix


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


class SparseProduct(torch.autograd.Function):
    """``matrix @ x`` whose gradient is ``transposed @ gradient``.

    torch would transpose the CSR matrix anew in every backward pass; here it is done once an image.
    """

    @staticmethod
    def forward(ctx: torch.autograd.function.FunctionCtx, matrix: Tensor, transposed: Tensor, x: Tensor) -> Tensor:
        """``(N, N)`` CSR, its transpose, and ``(N, K)`` to ``(N, K)``."""
        ctx.transposed = transposed  # type: ignore[attr-defined]
        return matrix @ x

    @staticmethod
    def backward(ctx: torch.autograd.function.FunctionCtx, gradient: Tensor) -> tuple[None, None, Tensor]:
        """The gradient of ``x`` alone: the graph is given."""
        return None, None, ctx.transposed @ gradient  # type: ignore[attr-defined]
