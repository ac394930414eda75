"""The kernels that are timed, on a made-up photograph."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from wsgcn.affinity.pairs import boundary_affinity, stencil_weights
from wsgcn.bench.inputs import Case, MadeUpPhotograph, make_photograph
from wsgcn.bench.numbers import KernelNumbers, given
from wsgcn.bench.traffic import gcn_bytes, walk_bytes
from wsgcn.ops.densecrf import dense_crf, mean_field
from wsgcn.ops.resize import resize_maps
from wsgcn.ops.scores import above, to_probs, with_constant
from wsgcn.ops.stencil import half_disc
from wsgcn.propagate.batch import collate
from wsgcn.propagate.graph import Sparse, adjacency, to_torch, walk_operator
from wsgcn.propagate.network import Problem, fit
from wsgcn.propagate.partial import partial_labels
from wsgcn.propagate.photograph import Photograph, gcn_problem, gcn_scores
from wsgcn.propagate.walk import walk

Call = Callable[[], object]
BACKGROUND = 0.25
"""Score of the background beside the made-up CAMs."""

GPU_IMAGES = 22
"""Photographs that a GPU learns at once, as in stage ``propagate``."""


@dataclass(frozen=True)
class Kernel:
    """Makes the inputs of one kernel and gives the call that is timed; picklable.

    Attributes:
        what: a name in :data:`KERNELS`.
        case: size of the made-up photograph.
        numbers: parameters; those that the kernel needs are there.
    """

    what: str
    case: Case
    numbers: KernelNumbers

    def __call__(self) -> Call:
        """The call, with its inputs made."""
        return KERNELS[self.what].prepare(make_photograph(self.case), self.numbers)


def build_graph(made_up: MadeUpPhotograph, radius: int) -> Sparse:
    """The affinity matrix A from a boundary map, as stages ``affinity`` and ``propagate`` make it together."""
    offsets = half_disc(radius)
    weights = stencil_weights(torch.from_numpy(made_up.boundary)[None, None], boundary_affinity, offsets)
    return adjacency(np.array(offsets), weights.numpy())


def photograph_of(made_up: MadeUpPhotograph, radius: int, seed: int) -> Photograph:
    """The made-up photograph as stage ``propagate`` would have loaded it.

    Args:
        made_up: what is known of it.
        radius: reach of its affinity graph, in cells.
        seed: of its random numbers.
    """
    generator = torch.Generator().manual_seed(seed)
    graph = build_graph(made_up, radius)
    return Photograph(made_up.cams, made_up.boundary, made_up.features, graph, made_up.small_u8, generator)


def build_problem(made_up: MadeUpPhotograph, numbers: KernelNumbers, device: str) -> Problem:
    """What the GCN is to learn for the made-up photograph."""
    photograph = photograph_of(made_up, given(numbers.radius), numbers.seed)
    return gcn_problem(photograph, given(numbers.gcn), torch.device(device))[0]


def _affinity_graph(made_up: MadeUpPhotograph, numbers: KernelNumbers) -> Call:
    return lambda: build_graph(made_up, given(numbers.radius))


def _random_walk(made_up: MadeUpPhotograph, numbers: KernelNumbers) -> Call:
    params = given(numbers.walk)
    operator = to_torch(walk_operator(build_graph(made_up, given(numbers.radius)), params.beta))
    scores = torch.from_numpy(with_constant(made_up.cams, BACKGROUND)).flatten(1).T.contiguous()
    return lambda: walk(operator, scores, 2**params.log2_steps)


def _partial_labels(made_up: MadeUpPhotograph, numbers: KernelNumbers) -> Call:
    params = given(numbers.gcn).partial_labels
    return lambda: partial_labels(above(made_up.cams, params.cut), made_up.small_u8, params)


def _gcn(made_up: MadeUpPhotograph, numbers: KernelNumbers) -> Call:
    problem = build_problem(made_up, numbers, "cpu")
    return lambda: fit(problem, given(numbers.gcn))


def _gcn_gpu(made_up: MadeUpPhotograph, numbers: KernelNumbers) -> Call:
    problems = collate([build_problem(made_up, numbers, "cuda")] * GPU_IMAGES)

    def call() -> None:
        fit(problems, given(numbers.gcn))
        torch.cuda.synchronize()

    return call


def _crf_probs(made_up: MadeUpPhotograph) -> NDArray[np.float32]:
    height, width = made_up.rgb_u8.shape[:2]
    return to_probs(resize_maps(with_constant(made_up.cams, BACKGROUND), (height, width)))


def _dense_crf(made_up: MadeUpPhotograph, numbers: KernelNumbers) -> Call:
    probs = _crf_probs(made_up)
    return lambda: dense_crf(probs, made_up.rgb_u8, given(numbers.crf))


def _pydensecrf(made_up: MadeUpPhotograph, numbers: KernelNumbers) -> Call:
    probs = _crf_probs(made_up)
    unary = np.ascontiguousarray(-np.log(probs.clip(1e-5, 1)).reshape(len(probs), -1))
    return lambda: mean_field(unary, made_up.rgb_u8, given(numbers.crf))


def _propagate(made_up: MadeUpPhotograph, numbers: KernelNumbers) -> Call:
    photograph = photograph_of(made_up, given(numbers.radius), numbers.seed)
    return lambda: gcn_scores([photograph], given(numbers.gcn), torch.device("cpu"))


@dataclass(frozen=True)
class Recipe:
    """How one kernel is timed.

    Attributes:
        prepare: makes the inputs and gives the call.
        needs: names of the :class:`KernelNumbers` without which it cannot be timed.
        traffic: bytes that a call must move at least; None where computing is the limit.
        images: how many a call does.
        gpu: it needs one.
    """

    prepare: Callable[[MadeUpPhotograph, KernelNumbers], Call]
    needs: tuple[str, ...]
    traffic: Callable[[Case, KernelNumbers], int] | None = None
    images: int = 1
    gpu: bool = False


KERNELS = {
    "affinity-graph": Recipe(_affinity_graph, ("radius",)),
    "random-walk": Recipe(_random_walk, ("radius", "walk"), walk_bytes),
    "partial-labels": Recipe(_partial_labels, ("gcn",)),
    "gcn": Recipe(_gcn, ("radius", "gcn"), gcn_bytes),
    "propagate": Recipe(_propagate, ("radius", "gcn")),
    "dense-crf": Recipe(_dense_crf, ("crf",)),
    "pydensecrf": Recipe(_pydensecrf, ("crf",)),
    "gcn-gpu": Recipe(_gcn_gpu, ("radius", "gcn"), images=GPU_IMAGES, gpu=True),
}
"""Every kernel by the name in the table: ``gcn`` is the training alone, ``propagate`` all that one photograph needs
after ``affinity`` where a GCN is learned, and ``pydensecrf`` the library's own call beside our ``dense-crf``;
``gcn-gpu`` is ``gcn`` as one block-diagonal batch."""


def kernels_to_time(numbers: KernelNumbers) -> list[str]:
    """Names of the kernels whose numbers the project has and whose device is here."""
    return [
        what
        for what, recipe in KERNELS.items()
        if all(getattr(numbers, name) is not None for name in recipe.needs)
        and (torch.cuda.is_available() or not recipe.gpu)
    ]
