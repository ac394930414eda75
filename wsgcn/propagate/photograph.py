"""What the GCN does for photographs: from CAMs, graphs and colours to probabilities."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from wsgcn.errors import UsageError
from wsgcn.ops.resize import to_class_ids
from wsgcn.ops.scores import above
from wsgcn.propagate.base import PropagationInput
from wsgcn.propagate.batch import collate
from wsgcn.propagate.graph import Sparse, normalise, to_torch, walk_operator
from wsgcn.propagate.losses import build_objective, colour_affinity
from wsgcn.propagate.network import Problem, fit
from wsgcn.propagate.partial import partial_labels
from wsgcn.propagate.walk import graph_of, required, walk, walked_cams
from wsgcn.propagate.walked import WalkedGraph, walked_graph
from wsgcn.store.records import Scores

if TYPE_CHECKING:
    from wsgcn.propagate.gcn import GcnPropagation


@dataclass(frozen=True)
class Photograph:
    """What one photograph brings.

    Attributes:
        cams: ``(K-1, h, w)`` in [0, 1].
        boundary: ``(h, w)`` in [0, 1], all 0 where the affinity has none.
        features: ``(F, h, w)`` node features V.
        graph: the affinity matrix A, ``(N, N)``.
        rgb_u8: ``(h, w, 3)`` at the grid's resolution.
        generator: its only source of randomness.
        saliency: ``(h, w)`` in [0, 1], or None.
    """

    cams: NDArray[np.float32]
    boundary: NDArray[np.float32]
    features: NDArray[np.float32]
    graph: Sparse
    rgb_u8: NDArray[np.uint8]
    generator: torch.Generator
    saliency: NDArray[np.float32] | None = None


@dataclass(frozen=True)
class GcnResult:
    """What the GCN makes of one photograph.

    Attributes:
        probs: ``(K, h, w)``.
        labels: ``(h, w)`` partial labels as positions among the K classes, 255 = unlabelled.
        losses: ``(steps, 5)``.
    """

    probs: NDArray[np.float32]
    labels: NDArray[np.uint8]
    losses: NDArray[np.float32]


def gcn_scores(photographs: Sequence[Photograph], params: GcnPropagation, device: torch.device) -> list[GcnResult]:
    """Partial labels, then a GCN of its own for each photograph that learns from them, all at the same time.

    Args:
        photographs: one on a CPU, where more gain nothing; as many as fit on a GPU.
        params: of the kind ``gcn``.
        device: where walks and learning happen.
    """
    problems, labels = zip(*(gcn_problem(one, params, device) for one in photographs))
    probs, losses = fit(problems[0] if len(problems) == 1 else collate(problems), params)
    return [
        GcnResult(_as_maps(found, photograph), partial, curve)
        for found, photograph, partial, curve in zip(probs.cpu().numpy(), photographs, labels, losses.cpu().numpy())
    ]


def _as_maps(probs: NDArray[np.float32], photograph: Photograph) -> NDArray[np.float32]:
    """``(N, K)``, both padded, as ``(K, h, w)``."""
    count, height, width = photograph.cams.shape
    return probs[: height * width, : count + 1].T.reshape(count + 1, height, width).copy()


def gcn_problem(
    photograph: Photograph, params: GcnPropagation, device: torch.device
) -> tuple[Problem, NDArray[np.uint8]]:
    """What is to be learned for one photograph, and the partial labels from which."""
    cams, rgb_u8, features = photograph.cams, photograph.rgb_u8, photograph.features
    transition = to_torch(walk_operator(photograph.graph, params.walk.beta)).to(device)
    if params.partial_labels.scores == "walk":
        cams = walked_cams(cams, photograph.boundary, transition, params.walk.log2_steps)
    labels = partial_labels(above(cams, params.partial_labels.cut), rgb_u8, params.partial_labels, photograph.saliency)
    phi = colour_affinity(
        rgb_u8, params.colour_variance, params.distance_variance, params.colour_scale, params.window
    ).astype(np.float32)
    classes = len(cams) + 1
    objective = build_objective(
        labels.ravel(), classes, phi, params.objective, params.entropy_weight, params.laplacian_weight
    )
    graph, transposed = _extended_graph(photograph.graph, transition, params)
    nodes = torch.from_numpy(np.ascontiguousarray(features.reshape(len(features), -1).T))  # (F, h, w) -> (N, F)
    diffused = walk(transition, nodes.to(device), params.feature_steps)
    problem = Problem(
        graph=graph,
        transposed=transposed,
        propagated=walk(graph, diffused, 1)[None],
        objective=objective.to(device),
        classes=[classes],
        generators=[photograph.generator],
    )
    return problem, labels


def _extended_graph(
    affinity: Sparse, transition: Tensor, params: GcnPropagation
) -> tuple[Tensor, Tensor] | tuple[WalkedGraph, WalkedGraph]:
    """Ã of eq. (1) and its transpose, on the device of the transition."""
    if params.graph_steps:
        walked = walked_graph(affinity, transition, params.walk.beta, params.graph_steps, params.normalisation)
        return walked, walked.transposed()
    extended = normalise(affinity.power(params.affinity_power), params.normalisation)
    graph, transposed = (to_torch(one).to(transition.device) for one in (extended, extended.transpose().tocsr()))
    return graph, transposed


def learned_scores(inputs: Sequence[PropagationInput], params: GcnPropagation, device: str) -> list[Scores]:
    """What stage ``propagate`` saves of photographs whose GCNs learn at the same time.

    Raises:
        UsageError: the GPU's memory is too small.
    """
    photographs = [
        Photograph(
            cams=one.cams,
            boundary=required(one.affinity).boundary.astype(np.float32),
            features=required(one.affinity).features.astype(np.float32),
            graph=graph_of(required(one.affinity)),
            rgb_u8=required(one.rgb_u8),
            generator=torch.Generator().manual_seed(one.seed),
            saliency=one.saliency,
        )
        for one in inputs
    ]
    try:
        results = gcn_scores(photographs, params, torch.device(device))
    except torch.OutOfMemoryError as error:
        raise UsageError(
            "the GPU has not enough memory for all workers: choose fewer runtime.workers, or runtime.device: cpu"
        ) from error
    logarithmic = np.array(params.upsampling == "log-probabilities", dtype=np.uint8)
    return [
        Scores(one.class_ids, result.probs, to_class_ids(result.labels, one.class_ids), result.losses, logarithmic)
        for one, result in zip(inputs, results)
    ]
