"""Everything the GCN does for one photograph: from CAMs, graph and colours to probabilities."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray

from wsgcn.labels import Variant
from wsgcn.ops.scores import above
from wsgcn.propagate.gcn import fit
from wsgcn.propagate.graph import Sparse, normalise, to_torch, walk_operator
from wsgcn.propagate.losses import build_objective, colour_affinity
from wsgcn.propagate.partial import partial_labels
from wsgcn.propagate.walk import walk, walked_cams

if TYPE_CHECKING:
    from wsgcn.params import Propagate


def gcn_scores(
    cams: NDArray[np.float32],
    boundary: NDArray[np.float32],
    features: NDArray[np.float32],
    graph: Sparse,
    rgb_u8: NDArray[np.uint8],
    params: Propagate,
    variant: Variant,
    generator: torch.Generator,
) -> tuple[NDArray[np.float32], NDArray[np.uint8], NDArray[np.float32]]:
    """Partial labels, then a GCN that learns from them.

    Args:
        cams: ``(K-1, h, w)`` in [0, 1].
        boundary: ``(h, w)`` in [0, 1], all 0 for variant P.
        features: ``(F, h, w)`` node features V.
        graph: the affinity matrix A, ``(N, N)``.
        rgb_u8: ``(h, w, 3)`` photograph at the grid's resolution.
        params: section ``propagate``.
        variant: which of its walks diffuses the features, and where the partial labels come from.
        generator: the only source of randomness.

    Returns:
        ``(K, h, w)`` probabilities, ``(h, w)`` partial labels as positions among the K classes (255 = unlabelled),
        ``(steps, 5)`` losses.
    """
    classes, grid = len(cams) + 1, cams.shape[1:]
    random_walk, source = params.random_walk.walk(variant), params.partial_labels.source(variant)
    transition = to_torch(walk_operator(graph, random_walk.beta))
    if source.scores == "walk":
        cams = walked_cams(cams, boundary, transition, random_walk.log2_steps)
    labels = partial_labels(above(cams, source.cut), rgb_u8, params.partial_labels)
    phi = colour_affinity(
        rgb_u8, params.colour_variance, params.distance_variance, params.colour_scale, params.window
    ).astype(np.float32)
    objective = build_objective(
        labels.ravel(), classes, phi, params.objective, params.entropy_weight, params.laplacian_weight
    )
    extended = normalise(graph, params.normalisation)
    matrix = to_torch(extended)
    nodes = torch.from_numpy(np.ascontiguousarray(features.reshape(len(features), -1).T))  # (F, h, w) -> (N, F)
    diffused = walk(transition, nodes, params.feature_steps)
    probs, losses = fit(
        matrix, to_torch(extended.transpose().tocsr()), walk(matrix, diffused, 1), objective, params, generator
    )
    return probs.T.numpy().reshape(classes, *grid).copy(), labels, losses.numpy()
