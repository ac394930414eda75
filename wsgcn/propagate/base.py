"""What every kind of propagation has."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, ClassVar

from wsgcn.errors import WsgcnError
from wsgcn.ranges import Between, Exponent
from wsgcn.sections import Kind, Saliency, Section

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from wsgcn.ops.grid import Grid
    from wsgcn.store.index import ImageRecord
    from wsgcn.store.records import Affinity, Scores


@dataclass(frozen=True)
class PropagationInput:
    """What a propagation is given of one photograph.

    Attributes:
        class_ids: ``(K,)`` classes that it shows, background first.
        cams: ``(K-1, h, w)`` float32 in [0, 1], on the grid of the affinity graph where the kind reads one.
        source_cams: the same as the CAM source made them, of any size.
        grid: how the cells of ``cams`` lie on the photograph.
        affinity: its graph and node features; None for a kind that does not read them.
        rgb_u8: ``(h, w, 3)`` at the grid's resolution; None for a kind that does not read it.
        seed: of its random numbers, in [0, 2^63).
        saliency: ``(h, w)`` in [0, 1] on the grid of ``cams``; None for a kind that does not read it.
    """

    class_ids: NDArray[np.int64]
    cams: NDArray[np.float32]
    source_cams: NDArray[np.float32]
    grid: Grid
    affinity: Affinity | None
    rgb_u8: NDArray[np.uint8] | None
    seed: int
    saliency: NDArray[np.float32] | None


class Transition(Section):
    """A random walk on the affinity graph: A^β entry by entry, rows divided by their sums, 2^``log2_steps`` steps."""

    beta: Exponent
    log2_steps: Annotated[int, Between(0, 12)]


class Propagation(Kind):
    """How class scores spread from the CAMs over a photograph.

    Attributes:
        losses: names of the losses that it records for each photograph; none for what learns nothing.
        partial_labels_used: what it learned from, or is certain of, is in :attr:`Scores.partial_labels`.
        baseline: the other kinds are compared with it.
        reads_affinity: it needs graph and node features.
        reads_photo: it needs the photograph's colours.
        seeded: it draws random numbers, from the run's seed, the method's name and the image's id.
    """

    losses: ClassVar[tuple[str, ...]] = ()
    partial_labels_used: ClassVar[bool] = False
    baseline: ClassVar[bool] = False
    reads_affinity: ClassVar[bool] = True
    reads_photo: ClassVar[bool] = True
    seeded: ClassVar[bool] = False

    @property
    def saliency(self) -> Saliency | None:
        """The saliency maps that it reads; None unless a kind reads some."""
        return None

    def files(self) -> tuple[str, ...]:
        """The folder of saliency maps, where it reads some."""
        return (self.saliency.folder,) if self.saliency else ()

    def device(self, wanted: str) -> str:
        """Where it computes: the CPU, unless a kind gains from ``runtime.device``."""
        return "cpu"

    def together(self, images: Sequence[ImageRecord], device: str) -> list[list[ImageRecord]]:
        """Images in groups that are propagated at once; each alone, unless a kind gains from several."""
        return [[image] for image in images]

    def background_limits(self, maps: NDArray[np.float32]) -> NDArray[np.floating] | None:
        """From which background on each pixel is background, for a kind whose background can be set afterwards.

        Args:
            maps: ``(K, H, W)`` scores as they were saved, background first, resized.

        Returns:
            ``(H, W)`` in [0, 1]: with a lower background than that the pixel has its best foreground class; None where
            the scores do not tell.
        """
        return None

    def scores(self, photographs: Sequence[PropagationInput], device: str) -> list[Scores | WsgcnError]:
        """Propagate the photographs of a group.

        Args:
            photographs: what is known of them.
            device: as :meth:`device` gave it.

        Returns:
            For each its scores, or the error that concerns it alone.

        Raises:
            UsageError: none of them can be done.
        """
        raise NotImplementedError

    def steps_shown(self, photograph: PropagationInput, device: str) -> list[tuple[str, Scores | WsgcnError]]:
        """What ``wsgcn show`` draws of a photograph: how its scores come about, one step after the other.

        Args:
            photograph: what is known of it.
            device: as :meth:`device` gave it.

        Returns:
            A caption and scores for each step; the last ones are those of :meth:`scores`.

        Raises:
            UsageError: it cannot be done.
        """
        (found,) = self.scores([photograph], device)
        return [(self.kind.replace("-", " "), found)]
