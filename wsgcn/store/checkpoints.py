"""Checkpoints: the name of a network, its settings and its weights, read without unpickling code."""

from __future__ import annotations

import io
import os
import zipfile
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, BinaryIO

import torch
from torch import Tensor, nn

from wsgcn.errors import DataError
from wsgcn.store.files import BROKEN, reading
from wsgcn.store.npz import LARGEST
from wsgcn.store.seal import check_seal, write_sealed

_UNREADABLE, _AGAIN = "cannot be read as weights", "train or import it again"
_SETTINGS = (bool, int, float, str, list, tuple, type(None))
"""What a network's settings are made of."""


def save_checkpoint(path: Path, network: str, settings: Mapping[str, Any], net: nn.Module) -> None:
    """Write the weights of ``net`` with what is needed to build it again.

    Args:
        path: file to write.
        network: what the checkpoint holds, such as ``cams/I``; loading asks for the same.
        settings: numbers and strings that decide the structure.
        net: the trained network.
    """
    # In one memory order, whatever the training used: the same weights are the same bytes.
    plain = torch.contiguous_format
    state = {name: value.detach().cpu().clone(memory_format=plain) for name, value in net.state_dict().items()}
    content = {"network": network, "settings": dict(settings), "state": state}
    write_sealed(path, lambda file: write_tensors(content, file))


def write_tensors(content: object, file: BinaryIO) -> None:
    """Write what PyTorch can save.

    By way of memory, which holds the file once more meanwhile: on a full disk PyTorch's own writer raises a
    RuntimeError that hides the reason.

    Raises:
        OSError: there is no room.
    """
    written = io.BytesIO()
    torch.save(content, written)
    file.write(written.getbuffer())


def save_unfinished(path: Path, state: Mapping[str, Any]) -> None:
    """Keep what a training has done so far: plain values and tensors.

    A file that cannot be written costs a killed training time, and this one nothing.
    """
    with suppress(OSError):
        write_sealed(path, lambda file: write_tensors(dict(state), file))


def read_unfinished(path: Path) -> dict[str, Any] | None:
    """What :func:`save_unfinished` kept, None where there is nothing, or nothing whole."""
    try:
        return dict(_read(path, sealed=True))
    except (DataError, TypeError, ValueError):
        return None


def load_checkpoint(path: Path, network: str, settings: Mapping[str, Any], net: nn.Module) -> None:
    """Load weights into ``net`` and set it to evaluation.

    Raises:
        DataError: the file is missing or broken, holds another network, or was made with other settings.
    """
    content = _read_checkpoint(path, network)
    if content["settings"] != dict(settings):
        raise DataError(f"{path} was made with {content['settings']}, not {dict(settings)}: train it again")
    fill(net, content["state"], f"{path} does not fit {network}")
    net.eval()


def load_part(path: Path, network: str, prefix: str, part: nn.Module) -> None:
    """Load into ``part`` the weights whose names begin with ``prefix``, such as the backbone of another network.

    Raises:
        DataError: the file is missing or broken, or holds another network.
    """
    state = _read_checkpoint(path, network)["state"]
    own = {name.removeprefix(prefix): value for name, value in state.items() if name.startswith(prefix)}
    fill(part, own, f"{path} does not fit {prefix.rstrip('.')} of {network}")


def fill(net: nn.Module, state: Mapping[str, Tensor], message: str) -> None:
    """Load parameters by name.

    Batch counters may be missing or superfluous: files from before PyTorch 0.4.1 lack them, and only a running mean
    without momentum needs them.

    Raises:
        DataError: a name or a shape does not fit; it begins with ``message`` and lists what is missing and unexpected.
    """
    counters = {key for key in {*net.state_dict(), *state} if key.endswith("num_batches_tracked")}
    check_keys(set(net.state_dict()) - counters, set(state) - counters, message)
    try:
        net.load_state_dict(state, strict=False)
    except RuntimeError as error:
        raise DataError(f"{message}: {' '.join(str(error).split())}") from error


def read_settings(path: Path, network: str) -> dict[str, Any]:
    """The settings that a checkpoint was saved with, enough to build its network.

    Raises:
        DataError: the file is missing or broken, or holds another network.
    """
    return dict(_read_checkpoint(path, network)["settings"])


def read_state(path: Path) -> dict[str, Tensor]:
    """A published ``state_dict`` by parameter name, as float32; also one under the key ``state_dict``.

    Raises:
        DataError: the file is missing, broken, or holds anything but tensors by name.
    """
    content = _read(path, sealed=False)
    if isinstance(content, dict) and isinstance(content.get("state_dict"), dict):
        content = content["state_dict"]
    with reading(path, _UNREADABLE, "fetch it again"):
        _check_state(content)
    return {str(name): value.float() if value.is_floating_point() else value for name, value in content.items()}


def check_keys(expected: set[str], found: set[str], message: str) -> None:
    """Compare parameter names.

    Raises:
        DataError: they differ; the message lists the first missing and unexpected ones.
    """
    if expected != found:
        missing, unexpected = sorted(expected - found), sorted(found - expected)
        raise DataError(f"{message}: {_listed('missing', missing)}, {_listed('unexpected', unexpected)}")


def _listed(word: str, names: list[str]) -> str:
    return f"{len(names)} {word}" + (f" ({', '.join(names[:3])}{', …' if len(names) > 3 else ''})" if names else "")


def _read_checkpoint(path: Path, network: str) -> dict[str, Any]:
    content = _read(path, sealed=True)
    whole = isinstance(content, dict) and {"network", "settings", "state"} <= content.keys()
    found = content["network"] if whole else None
    if found != network:
        raise DataError(f"{path} holds the network {found!r}, not {network!r}: train it again or mend the path")
    with reading(path, _UNREADABLE, _AGAIN):
        _check_settings(content["settings"])
        _check_state(content["state"])
    return dict(content)


def _read(path: Path, *, sealed: bool) -> Any:
    missing = "run the stage or the `wsgcn weights import` that makes it, or mend the path"
    with reading(path, _UNREADABLE, _AGAIN if sealed else "fetch it again", missing):
        with path.open("rb") as file:
            if sealed:
                check_seal(file)
            else:
                _check_archive(file)
        try:
            return torch.load(path, map_location="cpu", weights_only=True)
        except BROKEN as error:
            raise ValueError(_plain(error)) from error


def _check_archive(file: BinaryIO) -> None:
    """Refuse a damaged zip archive of others: PyTorch makes room for what it says it holds, and compares no sums."""
    if not zipfile.is_zipfile(file):
        return
    with zipfile.ZipFile(file) as packed:
        unpacked, on_disk = sum(one.file_size for one in packed.infolist()), file.seek(0, os.SEEK_END)
        if unpacked > max(LARGEST, on_disk):
            raise ValueError(f"unpacked it has {unpacked} bytes, the file {on_disk}")
        if (damaged := packed.testzip()) is not None:
            raise ValueError(f"{damaged} in it does not have its check sum")


def _check_settings(settings: object) -> None:
    plain = isinstance(settings, dict) and all(isinstance(one, _SETTINGS) for one in settings.values())
    if not plain:
        raise ValueError("its settings are no values by name")


def _check_state(state: object) -> None:
    """Refuse what is no tensors by name, and weights that are not finite: every result of these would be NaN."""
    if not isinstance(state, dict) or not all(
        isinstance(name, str) and isinstance(one, Tensor) for name, one in state.items()
    ):
        raise ValueError("it is not a state_dict of tensors by parameter name")
    wrong = [name for name, one in state.items() if one.is_floating_point() and not torch.isfinite(one).all()]
    if wrong:
        raise ValueError(f"the weights {', '.join(wrong[:3])}{', …' if wrong[3:] else ''} are not finite")


def _plain(error: Exception) -> str:
    """What is wrong with a file, without the advice to trust it that PyTorch puts before and behind that."""
    _, _, refused = str(error).partition("WeightsUnpickler error: ")
    lines = (refused or str(error)).strip().splitlines()
    return lines[0].split(" Please use")[0] if lines else type(error).__name__
