"""Everything the GCN does for one photograph: from CAMs, graph and colours to probabilities."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray

from wsgcn.propagate.gcn import fit
from wsgcn.propagate.graph import Sparse, normalise, to_torch, walk_operator
from wsgcn.propagate.losses import build_objective, colour_affinity
from wsgcn.propagate.partial import partial_labels
from wsgcn.propagate.walk import walk

if TYPE_CHECKING:
    from wsgcn.params import Propagate


def gcn_scores(
    cams: NDArray[np.float32],
    features: NDArray[np.float32],
    graph: Sparse,
    rgb_u8: NDArray[np.uint8],
    params: Propagate,
    beta: float,
    generator: torch.Generator,
) -> tuple[NDArray[np.float32], NDArray[np.uint8], NDArray[np.float32]]:
    """Partial labels, then a GCN that learns from them.

    Args:
        cams: ``(K-1, h, w)`` in [0, 1].
        features: ``(F, h, w)`` node features V.
        graph: the affinity matrix A, ``(N, N)``.
        rgb_u8: ``(h, w, 3)`` photograph at the grid's resolution.
        params: section ``propagate``.
        beta: exponent of the walk's transition, for ``params.feature_steps``.
        generator: the only source of randomness.

    Returns:
        ``(K, h, w)`` probabilities, ``(h, w)`` partial labels as positions among the K classes (255 = unlabelled),
        ``(steps, 5)`` losses.
    """
    classes, grid = len(cams) + 1, cams.shape[1:]
    labels = partial_labels(cams, rgb_u8, params.partial_labels)
    phi = colour_affinity(
        rgb_u8, params.colour_variance, params.distance_variance, params.colour_scale, params.window
    ).astype(np.float32)
    objective = build_objective(
        labels.ravel(), classes, phi, params.objective, params.entropy_weight, params.laplacian_weight
    )
    extended = normalise(graph, params.normalisation)
    matrix = to_torch(extended)
    nodes = torch.from_numpy(np.ascontiguousarray(features.reshape(len(features), -1).T))  # (F, h, w) -> (N, F)
    diffused = walk(to_torch(walk_operator(graph, beta)), nodes, params.feature_steps)
    probs, losses = fit(
        matrix, to_torch(extended.transpose().tocsr()), walk(matrix, diffused, 1), objective, params, generator
    )
    return probs.T.numpy().reshape(classes, *grid).copy(), labels, losses.numpy()
