"""The kernels that are timed, on a made-up photograph, and how many bytes each must move at least."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray

from wsgcn.affinity.pairs import boundary_affinity, stencil_weights
from wsgcn.bench.inputs import Case, Picture, make_picture
from wsgcn.ops.densecrf import dense_crf, mean_field
from wsgcn.ops.resize import resize_maps
from wsgcn.ops.scores import above, to_probs, with_constant
from wsgcn.ops.stencil import half_disc
from wsgcn.propagate.batch import collate
from wsgcn.propagate.gcn import fit
from wsgcn.propagate.graph import Sparse, adjacency, to_torch, walk_operator
from wsgcn.propagate.image import Photograph, gcn_problem, gcn_scores
from wsgcn.propagate.partial import partial_labels
from wsgcn.propagate.walk import walk

if TYPE_CHECKING:
    from wsgcn.params import Params

Call = Callable[[], object]
BACKGROUND = 0.25
"""Score of the background beside the made-up CAMs."""

GPU_IMAGES = 22
"""Photographs that a GPU learns at once, as in stage ``propagate``."""

NUMBER, INDEX = 4, 4
"""Bytes of a float32 and of an int32."""


@dataclass(frozen=True)
class Kernel:
    """Makes the inputs of one kernel and gives the call that is timed; picklable.

    Attributes:
        what: a name in :data:`KERNELS`.
        case: size of the made-up photograph.
        params: numbers of the pipeline.
    """

    what: str
    case: Case
    params: Params

    def __call__(self) -> Call:
        """The call, with its inputs made."""
        return KERNELS[self.what].prepare(make_picture(self.case), self.params)


def build_graph(picture: Picture, radius: int) -> Sparse:
    """The affinity matrix A from a boundary map, as stages ``affinity`` and ``propagate`` make it together."""
    offsets = half_disc(radius)
    weights = stencil_weights(torch.from_numpy(picture.boundary)[None, None], boundary_affinity, offsets)
    return adjacency(np.array(offsets), weights.numpy())


def _affinity_graph(picture: Picture, params: Params) -> Call:
    return lambda: build_graph(picture, params.affinity.I.radius)


def _random_walk(picture: Picture, params: Params) -> Call:
    numbers = params.propagate.random_walk.I
    operator = to_torch(walk_operator(build_graph(picture, params.affinity.I.radius), numbers.beta))
    scores = torch.from_numpy(with_constant(picture.cams, BACKGROUND)).flatten(1).T.contiguous()
    return lambda: walk(operator, scores, 2**numbers.log2_steps)


def _partial_labels(picture: Picture, params: Params) -> Call:
    rule = params.propagate.partial_labels
    return lambda: partial_labels(above(picture.cams, rule.I.cut), picture.small_u8, rule)


def photograph_of(picture: Picture, params: Params) -> Photograph:
    """The made-up picture as stage ``propagate`` would have loaded it."""
    generator = torch.Generator().manual_seed(params.runtime.seed)
    graph = build_graph(picture, params.affinity.I.radius)
    return Photograph(picture.cams, picture.boundary, picture.features, graph, picture.small_u8, generator)


def _gcn(picture: Picture, params: Params) -> Call:
    problem, _ = gcn_problem(photograph_of(picture, params), params.propagate, "I", torch.device("cpu"))
    return lambda: fit(problem, params.propagate)


def _gcn_gpu(picture: Picture, params: Params) -> Call:
    problem, _ = gcn_problem(photograph_of(picture, params), params.propagate, "I", torch.device("cuda"))
    problems = collate([problem] * GPU_IMAGES)

    def call() -> None:
        fit(problems, params.propagate)
        torch.cuda.synchronize()

    return call


def _crf_probs(picture: Picture) -> NDArray[np.float32]:
    height, width = picture.rgb_u8.shape[:2]
    return to_probs(resize_maps(with_constant(picture.cams, BACKGROUND), (height, width)))


def _dense_crf(picture: Picture, params: Params) -> Call:
    probs = _crf_probs(picture)
    return lambda: dense_crf(probs, picture.rgb_u8, params.crf.gcn)


def _pydensecrf(picture: Picture, params: Params) -> Call:
    probs = _crf_probs(picture)
    unary = np.ascontiguousarray(-np.log(probs.clip(1e-5, 1)).reshape(len(probs), -1))
    return lambda: mean_field(unary, picture.rgb_u8, params.crf.gcn)


def _propagate(picture: Picture, params: Params) -> Call:
    photograph = photograph_of(picture, params)
    return lambda: gcn_scores([photograph], params.propagate, "I", torch.device("cpu"))


# ---------------------------------------------------------------- least traffic


def edge_count(case: Case, radius: int) -> int:
    """Entries of the sparse A of a grid: both directions of every pair, and the diagonal."""
    pairs = sum((case.height - dy) * (case.width - abs(dx)) for dy, dx in half_disc(radius))
    return case.height * case.width + 2 * pairs


def _walk_bytes(case: Case, params: Params) -> int:
    """Each step reads the transition and the scores, and writes the scores."""
    numbers, nodes = params.propagate.random_walk.I, case.height * case.width
    step = edge_count(case, params.affinity.I.radius) * (NUMBER + INDEX) + 2 * nodes * case.classes * NUMBER
    return int(2**numbers.log2_steps * step)


def _gcn_bytes(case: Case, params: Params) -> int:
    """Each step reads ÃV for the forward pass and for the gradient of W1, Ã, its transpose and the Laplacian."""
    numbers, nodes = params.propagate, case.height * case.width
    graphs = 2 * edge_count(case, params.affinity.I.radius) + nodes * numbers.window**2
    return numbers.steps * (2 * nodes * case.features * NUMBER + graphs * (NUMBER + INDEX))


@dataclass(frozen=True)
class Recipe:
    """How one kernel is timed.

    Attributes:
        prepare: makes the inputs and gives the call.
        traffic: bytes that a call must move at least; None where computing is the limit.
        images: how many a call does.
        gpu: it needs one.
    """

    prepare: Callable[[Picture, Params], Call]
    traffic: Callable[[Case, Params], int] | None = None
    images: int = 1
    gpu: bool = False


KERNELS = {
    "affinity-graph": Recipe(_affinity_graph),
    "random-walk": Recipe(_random_walk, _walk_bytes),
    "partial-labels": Recipe(_partial_labels),
    "gcn": Recipe(_gcn, _gcn_bytes),
    "propagate": Recipe(_propagate),
    "dense-crf": Recipe(_dense_crf),
    "pydensecrf": Recipe(_pydensecrf),
    "gcn-gpu": Recipe(_gcn_gpu, images=GPU_IMAGES, gpu=True),
}
"""Every kernel by the name in the table: ``gcn`` is the training alone, ``propagate`` all that one photograph needs
after ``affinity``, and ``pydensecrf`` the library's own call beside our ``dense-crf``; ``gcn-gpu`` is ``gcn`` as one
block-diagonal batch."""
