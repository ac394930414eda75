"""Everything the GCN does for photographs: from CAMs, graphs and colours to probabilities."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray

from wsgcn.ops.scores import above
from wsgcn.propagate.batch import collate
from wsgcn.propagate.gcn import Problem, fit
from wsgcn.propagate.graph import Sparse, normalise, to_torch, walk_operator
from wsgcn.propagate.losses import build_objective, colour_affinity
from wsgcn.propagate.partial import partial_labels
from wsgcn.propagate.walk import walk, walked_cams
from wsgcn.vocabulary import Variant

if TYPE_CHECKING:
    from wsgcn.params import Propagate


@dataclass(frozen=True)
class Photograph:
    """What one photograph brings.

    Attributes:
        cams: ``(K-1, h, w)`` in [0, 1].
        boundary: ``(h, w)`` in [0, 1], all 0 for variant P.
        features: ``(F, h, w)`` node features V.
        graph: the affinity matrix A, ``(N, N)``.
        rgb_u8: ``(h, w, 3)`` at the grid's resolution.
        generator: its only source of randomness.
    """

    cams: NDArray[np.float32]
    boundary: NDArray[np.float32]
    features: NDArray[np.float32]
    graph: Sparse
    rgb_u8: NDArray[np.uint8]
    generator: torch.Generator


@dataclass(frozen=True)
class Result:
    """What the GCN makes of one photograph.

    Attributes:
        probs: ``(K, h, w)``.
        labels: ``(h, w)`` partial labels as positions among the K classes, 255 = unlabelled.
        losses: ``(steps, 5)``.
    """

    probs: NDArray[np.float32]
    labels: NDArray[np.uint8]
    losses: NDArray[np.float32]


def gcn_scores(
    photographs: Sequence[Photograph], params: Propagate, variant: Variant, device: torch.device
) -> list[Result]:
    """Partial labels, then a GCN of its own for each photograph that learns from them, all at the same time.

    Args:
        photographs: one on a CPU, where more gain nothing; as many as fit on a GPU.
        params: section ``propagate``.
        variant: which of its walks diffuses the features, and where the partial labels come from.
        device: where walks and learning happen.
    """
    problems, labels = zip(*(gcn_problem(one, params, variant, device) for one in photographs))
    probs, losses = fit(problems[0] if len(problems) == 1 else collate(problems), params)
    return [
        Result(_as_maps(found, photograph), partial, curve)
        for found, photograph, partial, curve in zip(probs.cpu().numpy(), photographs, labels, losses.cpu().numpy())
    ]


def _as_maps(probs: NDArray[np.float32], photograph: Photograph) -> NDArray[np.float32]:
    """``(N, K)``, both padded, as ``(K, h, w)``."""
    count, height, width = photograph.cams.shape
    return probs[: height * width, : count + 1].T.reshape(count + 1, height, width).copy()


def gcn_problem(
    photograph: Photograph, params: Propagate, variant: Variant, device: torch.device
) -> tuple[Problem, NDArray[np.uint8]]:
    """What is to be learned for one photograph, and the partial labels from which."""
    cams, rgb_u8, features = photograph.cams, photograph.rgb_u8, photograph.features
    random_walk, source = params.random_walk.walk(variant), params.partial_labels.source(variant)
    transition = to_torch(walk_operator(photograph.graph, random_walk.beta)).to(device)
    if source.scores == "walk":
        cams = walked_cams(cams, photograph.boundary, transition, random_walk.log2_steps)
    labels = partial_labels(above(cams, source.cut), rgb_u8, params.partial_labels)
    phi = colour_affinity(
        rgb_u8, params.colour_variance, params.distance_variance, params.colour_scale, params.window
    ).astype(np.float32)
    classes = len(cams) + 1
    objective = build_objective(
        labels.ravel(), classes, phi, params.objective, params.entropy_weight, params.laplacian_weight
    )
    extended = normalise(photograph.graph, params.normalisation)
    graph = to_torch(extended).to(device)
    nodes = torch.from_numpy(np.ascontiguousarray(features.reshape(len(features), -1).T))  # (F, h, w) -> (N, F)
    diffused = walk(transition, nodes.to(device), params.feature_steps)
    problem = Problem(
        graph=graph,
        transposed=to_torch(extended.transpose().tocsr()).to(device),
        propagated=walk(graph, diffused, 1)[None],
        objective=objective.to(device),
        classes=[classes],
        generators=[photograph.generator],
    )
    return problem, labels
