"""Propagation ``pamr``: SingleStage's pixel-adaptive refinement, by the photograph's colours alone."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, ClassVar, Literal

from wsgcn.errors import WsgcnError
from wsgcn.propagate.background import WithBackground
from wsgcn.propagate.base import PropagationInput
from wsgcn.ranges import Dilations, Iterations

if TYPE_CHECKING:
    from wsgcn.store.records import Scores


class Pamr(WithBackground):
    """CAMs and background become the mean of their neighbours of like colour, on the CAMs' own grid.

    No graph is read and nothing is learned.
    """

    reads_affinity: ClassVar[bool] = False

    kind: Literal["pamr"]
    dilations: Dilations
    iterations: Iterations

    def scores(self, photographs: Sequence[PropagationInput], device: str) -> list[Scores | WsgcnError]:
        """Scores in [0, 1]; a constant background stays as it is."""
        return [self._refined(one) for one in photographs]

    def _refined(self, one: PropagationInput) -> Scores:
        import torch

        from wsgcn.ops.pamr import pamr
        from wsgcn.propagate.walk import required
        from wsgcn.store.records import Scores

        rgb_u8 = torch.from_numpy(required(one.rgb_u8))
        colours = rgb_u8.permute(2, 0, 1)[None].float() / 255  # (h, w, 3) -> (1, 3, h, w)
        masks = torch.from_numpy(self.with_background(one.cams))[None]
        refined = pamr(colours, masks, self.dilations, self.iterations)[0].numpy()
        return Scores.not_learned(one.class_ids, refined)
