"""The numbers that the timed kernels need, taken from the entries of a project's ``params.yaml``."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

from wsgcn.crf.dense_crf import DenseCrf
from wsgcn.propagate.gcn import GcnPropagation
from wsgcn.propagate.random_walk import RandomWalk

if TYPE_CHECKING:
    from wsgcn.methods import Method
    from wsgcn.params import Params

T = TypeVar("T")


@dataclass(frozen=True)
class KernelNumbers:
    """Parameters of the kernels; None where no method of the project has any, and the kernel is not timed.

    Attributes:
        seed: of the run.
        radius: reach of the affinity graph, in cells.
        walk: of the random walk.
        gcn: of the GCN and its partial labels.
        crf: of the dense CRF.
    """

    seed: int
    radius: int | None
    walk: RandomWalk | None
    gcn: GcnPropagation | None
    crf: DenseCrf | None


def kernel_numbers(params: Params, method: Method) -> KernelNumbers:
    """The first numbers of each kind: the method's own, then those of its variant's other methods, then of any method.

    Args:
        params: of the project.
        method: whose numbers come first.
    """
    others = sorted(params.all_methods(), key=lambda one: one.variant.name != method.variant.name)
    methods = [method, *others]
    propagations = [one.propagation for one in methods]
    radii = [getattr(one.variant.affinity.infer, "radius", None) for one in methods]
    return KernelNumbers(
        seed=params.runtime.seed,
        radius=_first(radii, int),
        walk=_first(propagations, RandomWalk),
        gcn=_first(propagations, GcnPropagation),
        crf=_first((one.crf for one in methods), DenseCrf),
    )


def given(value: T | None) -> T:
    """A number of :class:`KernelNumbers` that the kernel needs, and so has where it is timed."""
    assert value is not None
    return value


def _first(values: Iterable[object], kind: type[T]) -> T | None:
    return next((one for one in values if isinstance(one, kind)), None)
