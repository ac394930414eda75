"""``wsgcn weights import``: read a published file, convert it, check it, store it."""

from __future__ import annotations

from pathlib import Path

import torch

from wsgcn.errors import DataError
from wsgcn.store.checkpoints import fill, read_state, save_checkpoint
from wsgcn.store.files import write_atomic
from wsgcn.weights.layouts import LAYOUTS
from wsgcn.weights.mxnet import read_params


def import_weights(published: Path, network: str, out: Path) -> None:
    """Convert a published file into one that ``weights`` or ``trained`` in params.yaml may name.

    Args:
        published: the file; one that ends in ``.params`` is MXNet's, any other PyTorch's, opened with
            ``weights_only=True``.
        network: a name of :data:`~wsgcn.weights.layouts.LAYOUTS`.
        out: file to write.

    Raises:
        DataError: the file is missing, broken, refused by PyTorch, or does not hold this network; missing and
            unexpected names are listed.
    """
    layout = LAYOUTS[network]
    state = read_params(published) if published.suffix == ".params" else read_state(published)
    net = layout.build()
    fill(net, layout.convert(state), f"{published} does not hold {network}")
    if not all(torch.isfinite(one).all() for one in net.state_dict().values()):
        raise DataError(f"{published} holds numbers that are not finite: fetch it again")
    if layout.checkpoint is None:
        write_atomic(out, lambda file: torch.save(net.state_dict(), file))
    else:
        save_checkpoint(out, *layout.checkpoint, net)
