"""``wsgcn weights import``: read a published file, convert it, check it, store it."""

from __future__ import annotations

import filecmp
import tempfile
from pathlib import Path

import torch
from torch import nn

from wsgcn.errors import DataError, UsageError
from wsgcn.nets.published import State
from wsgcn.store.checkpoints import fill, read_state, save_checkpoint, write_tensors
from wsgcn.store.files import reading, write_atomic
from wsgcn.weights.layout import Layout
from wsgcn.weights.layouts import LAYOUTS
from wsgcn.weights.mxnet import read_params


def import_published(published: Path, name: str, out: Path, *, overwrite: bool = False) -> None:
    """Convert a published file into one that ``weights`` or ``trained`` in params.yaml may name.

    Args:
        published: the file; one that ends in ``.params`` is MXNet's, any other PyTorch's, opened with
            ``weights_only=True``.
        name: what it holds, one of :data:`~wsgcn.weights.names.PUBLISHED_NAMES`.
        out: file to write.
        overwrite: replace a file that holds something else.

    Raises:
        DataError: the file is missing, broken, refused by PyTorch, or does not hold this network; missing and
            unexpected names are listed.
        UsageError: there is another file at ``out``.
    """
    layout = LAYOUTS[name]
    net = layout.build()
    state = _read(published)
    with reading(published, f"does not hold {name}", "name the file that does"):
        converted = layout.convert(state)
    fill(net, converted, f"{published} does not hold {name}")
    if not all(torch.isfinite(one).all() for one in net.state_dict().values()):
        raise DataError(f"{published} holds numbers that are not finite: fetch it again")
    if overwrite or not out.exists():
        _save(layout, net, out)
    elif not _holds(out, layout, net):
        raise UsageError(f"{out} is there already and holds something else: name another file, or overwrite it")


def _read(published: Path) -> State:
    """Its parameters; ``module.``, which PyTorch's DataParallel puts before every name, is taken off."""
    state = read_params(published) if published.suffix == ".params" else read_state(published)
    wrapped = bool(state) and all(key.startswith("module.") for key in state)
    return {key.removeprefix("module."): value for key, value in state.items()} if wrapped else state


def _save(layout: Layout, net: nn.Module, out: Path) -> None:
    if layout.checkpoint is None:
        write_atomic(out, lambda file: write_tensors(net.state_dict(), file))
    else:
        save_checkpoint(out, *layout.checkpoint, net)


def _holds(out: Path, layout: Layout, net: nn.Module) -> bool:
    """Whether writing ``out`` would change nothing."""
    with tempfile.TemporaryDirectory(dir=out.parent) as folder:
        fresh = Path(folder) / "fresh.pt"
        _save(layout, net, fresh)
        return filecmp.cmp(fresh, out, shallow=False)
