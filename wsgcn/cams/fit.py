"""Training the multi-label classifier on image-level labels."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from wsgcn.cams.net import CamNet
from wsgcn.nets.backbone import freeze_norms
from wsgcn.ops.augment import ParameterGroup, jittered, random_view
from wsgcn.ops.batches import batches, step_count
from wsgcn.ops.training import Step, descend
from wsgcn.runtime import progress_bar, seeded

if TYPE_CHECKING:
    from wsgcn.params import CamsTraining


def train_classifier(
    net: CamNet,
    class_ids: Mapping[str, Sequence[int]],
    load: Callable[[str], NDArray[np.uint8]],
    params: CamsTraining,
    run_seed: int,
    *,
    label: str,
    section: str,
) -> list[Step]:
    """Minimise the multi-label cross-entropy over random views of the photographs; ``net`` is changed in place.

    Args:
        net: the classifier, on the device that trains.
        class_ids: foreground classes of each photograph, by image id.
        load: gives an image id's ``(H, W, 3)`` uint8 photograph.
        params: epochs, batch, crop, rates.
        run_seed: seed of the run.
        label: name of the training: text of the progress bar, and part of every seed.
        section: of the parameters, for an error.

    Returns:
        Every step, with the learning rate of the backbone.

    Raises:
        WsgcnError: a photograph could not be loaded.
        UsageError: the loss is no longer finite.
    """
    device = next(net.parameters()).device

    def sample(image_id: str, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        rgb_u8 = jittered(load(image_id), params.jitter, generator)
        view, _ = random_view(rgb_u8, None, params.crop, scale_range(params, max(rgb_u8.shape)), generator)
        return view, multi_hot(class_ids[image_id], net.classifier.out_channels)

    def loss_of(samples: Sequence[tuple[Tensor, Tensor]]) -> Tensor:
        x, target = (torch.stack(part).to(device) for part in zip(*samples))
        return functional.multilabel_soft_margin_loss(net(x), target)

    steps = step_count(params.epochs, len(class_ids), params.batch)
    groups: list[ParameterGroup] = [
        {"params": list(net.backbone.parameters()), "lr": params.lr},
        {"params": list(net.classifier.parameters()), "lr": params.lr * params.head_lr_factor},
    ]
    net.train()
    if params.freeze_norm:
        freeze_norms(net)
    ids = {one: one for one in class_ids}
    feed = batches(ids, sample, batch=params.batch, steps=steps, run_seed=run_seed, name=label)
    history = []
    with progress_bar(label, steps) as advance, seeded(run_seed, label, "dropout"):
        for step in descend(groups, loss_of, feed, params, steps=steps, section=section):
            history.append(step)
            advance()
    net.eval()
    return history


def scale_range(params: CamsTraining, long_side: int) -> tuple[float, float]:
    """The range of the random factor for a photograph whose longer side has so many pixels."""
    if params.scale is not None:
        return params.scale
    assert params.long_side is not None  # one of both is given
    low, high = params.long_side
    return low / long_side, high / long_side


def multi_hot(class_ids: Sequence[int], foreground_classes: int) -> Tensor:
    """Foreground class ids 1 … C-1 as a ``(C-1,)`` float32 vector of zeros and ones."""
    target = torch.zeros(foreground_classes)
    target[[class_id - 1 for class_id in class_ids]] = 1
    return target
