"""Many images as one block-diagonal problem: what a GPU needs to be busy."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from wsgcn.propagate.network import Problem
from wsgcn.propagate.walked import WalkedGraph

VECTORS = ("degrees", "left", "right")


def collate(problems: Sequence[Problem]) -> Problem:
    """One problem of B images from B problems of one image each, on the device of the first.

    Images with fewer nodes or classes than the largest are padded: no edge, label or loss touches what is added, and
    the results before it are those of the image alone, up to rounding.
    """
    from torch_geometric.data import Batch  # takes seconds to import, which a CPU, image by image, need not wait for

    nodes = max(problem.propagated.shape[1] for problem in problems)
    classes = [count for problem in problems for count in problem.classes]
    batch = Batch.from_data_list([_as_data(problem, nodes, max(classes)) for problem in problems])
    matrices = {name: _to_csr(batch[f"{name}_index"], batch[name], batch.num_nodes) for name in _matrices(problems[0])}
    objective = replace(
        problems[0].objective,
        images=len(problems),
        foreground=batch.foreground,
        background=batch.background,
        unlabelled=batch.unlabelled,
        laplacian=matrices["laplacian"],
        absent=batch.absent if batch.absent.any() else None,
    )
    graph, transposed = _graphs(problems[0].graph, matrices, batch)
    return Problem(
        graph=graph,
        transposed=transposed,
        propagated=batch.propagated.unflatten(0, (len(problems), nodes)),
        objective=objective,
        classes=classes,
        generators=[generator for problem in problems for generator in problem.generators],
    )


def _graphs(
    first: Tensor | WalkedGraph, matrices: dict[str, Tensor], batch: dict[str, Any]
) -> tuple[Tensor, Tensor] | tuple[WalkedGraph, WalkedGraph]:
    """Ã of the batch and its transpose, of the first image's kind."""
    if not isinstance(first, WalkedGraph):
        return matrices["graph"], matrices["transposed"]
    walked = replace(first, transition=matrices["transition"], **{name: batch[name] for name in VECTORS})
    return walked, walked.transposed()


def _matrices(problem: Problem) -> dict[str, Tensor]:
    """All that is sparse."""
    graphs: dict[str, Any] = {"graph": problem.graph, "transposed": problem.transposed}
    if isinstance(problem.graph, WalkedGraph):
        graphs = {"transition": problem.graph.transition}
    return graphs | {"laplacian": problem.objective.laplacian}


def _vectors(problem: Problem, missing: int) -> dict[str, Tensor]:
    """What a walked graph has for each node; where L and R are 0, nothing comes of padding."""
    if not isinstance(problem.graph, WalkedGraph):
        return {}
    padding = dict(zip(VECTORS, (1, 0, 0)))
    parts = vars(problem.graph)
    return {name: functional.pad(parts[name], (0, 0, 0, missing), value=padding[name]) for name in VECTORS}


def _as_data(problem: Problem, nodes: int, classes: int):  # type: ignore[no-untyped-def]  # its class is imported late
    """One image for torch_geometric, which shifts what is called ``…_index`` by the nodes before it."""
    from torch_geometric.data import Data

    objective = problem.objective
    missing = nodes - problem.propagated.shape[1]
    matrices = _matrices(problem)
    return Data(
        num_nodes=nodes,
        propagated=functional.pad(problem.propagated[0], (0, 0, 0, missing)),
        foreground=functional.pad(objective.foreground, (0, classes - problem.classes[0], 0, missing)),
        background=functional.pad(objective.background, (0, classes - problem.classes[0], 0, missing)),
        unlabelled=functional.pad(objective.unlabelled, (0, 0, 0, missing)),
        absent=(torch.arange(classes, device=problem.propagated.device) >= problem.classes[0]).expand(nodes, classes),
        **{f"{name}_index": matrix.to_sparse_coo().indices() for name, matrix in matrices.items()},
        **{name: matrix.values() for name, matrix in matrices.items()},
        **_vectors(problem, missing),
    )


def _to_csr(index: Tensor, values: Tensor, nodes: int) -> Tensor:
    """CSR with 32-bit indices from entries that are sorted already, since those of each image are."""
    counts = torch.bincount(index[0], minlength=nodes)
    starts = functional.pad(counts.cumsum(0), (1, 0)).to(torch.int32)
    return torch.sparse_csr_tensor(starts, index[1].to(torch.int32), values, (nodes, nodes), check_invariants=False)
