"""The same work with N × N matrices, as the public code of this field does it: what ``--against dense`` runs.

Only for timing: tests check the fast kernels against dense versions of their own.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor
from torch.nn import functional
from torch.optim import Adam

from wsgcn.bench.inputs import Case, make_photograph
from wsgcn.bench.kernels import Call, build_graph, build_problem
from wsgcn.bench.numbers import KernelNumbers, given
from wsgcn.propagate.losses import GcnObjective
from wsgcn.propagate.network import FitParams, initial_weights

GCN_STEPS = 5
"""Steps of the dense GCN that are run; all are alike, so the whole takes as many times longer as it has more."""


@dataclass(frozen=True)
class DenseWalk:
    """One squaring of the ``(N, N)`` transition, of which a walk of 2^t steps has t; picklable."""

    case: Case
    numbers: KernelNumbers

    def __call__(self) -> Call:
        """The call, with its inputs made."""
        graph = build_graph(make_photograph(self.case), given(self.numbers.radius))
        power = torch.from_numpy(graph.toarray()) ** given(self.numbers.walk).beta
        transition = power / power.sum(dim=0)
        del power
        out = torch.empty_like(transition)
        return lambda: torch.mm(transition, transition, out=out)


@dataclass(frozen=True)
class DenseGcn:
    """:data:`GCN_STEPS` steps of the GCN with a dense Ã and a dense Laplacian; picklable."""

    case: Case
    numbers: KernelNumbers

    def __call__(self) -> Call:
        """The call, with its inputs made."""
        made_up = make_photograph(self.case)
        problem = build_problem(made_up, self.numbers, "cpu")
        graph, objective = problem.graph, problem.objective
        nodes = torch.from_numpy(made_up.features).flatten(1).T.contiguous()
        extended = graph.to_dense() if isinstance(graph, Tensor) else graph @ torch.eye(len(nodes))
        dense = replace(objective, laplacian=objective.laplacian.to_dense())
        return lambda: _train(extended, nodes, dense, given(self.numbers.gcn))


def _train(extended: Tensor, nodes: Tensor, objective: GcnObjective, params: FitParams) -> None:
    generator = torch.Generator().manual_seed(0)
    classes = objective.foreground.shape[1]
    w1 = initial_weights(nodes.shape[1], params.hidden, generator, nodes.dtype).requires_grad_()
    w2 = initial_weights(params.hidden, classes, generator, nodes.dtype).requires_grad_()
    b1, b2 = (torch.zeros(1, size, dtype=nodes.dtype, requires_grad=params.bias) for size in (params.hidden, classes))
    optimizer = Adam([w1, w2, *((b1, b2) if params.bias else ())], lr=params.lr, weight_decay=params.weight_decay)
    for _ in range(GCN_STEPS):
        hidden = functional.dropout(torch.relu(extended @ (nodes @ w1) + b1), params.dropout)
        logits = extended @ (hidden @ w2) + b2
        optimizer.zero_grad()
        logits.backward(objective(logits.detach())[1])
        optimizer.step()
