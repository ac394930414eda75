"""Stage ``affinity``: train the affinity network of a variant, then write graph and node features of every image."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from wsgcn.affinity.fit import train_affinity
from wsgcn.affinity.net import AffinityNetwork, build_affinity_network, network_settings
from wsgcn.affinity.pairs import stencil_weights
from wsgcn.affinity.seeds import affinity_seeds, boundary_seeds
from wsgcn.nets.backbone import build_backbone, freeze_stages, to_input
from wsgcn.ops.resize import downscale_rgb, grid_size, resize_maps, to_class_ids
from wsgcn.ops.stencil import half_disc
from wsgcn.runtime.devices import pick_device
from wsgcn.runtime.per_image import make_files
from wsgcn.runtime.seeds import seeded
from wsgcn.runtime.workers import map_images
from wsgcn.store.checkpoints import load_checkpoint, load_part, save_checkpoint
from wsgcn.store.files import HISTORY, write_table
from wsgcn.store.fingerprints import file_digest, fingerprint, read_fingerprint, remove_others, require_fingerprint
from wsgcn.store.index import ImageRecord, load_index
from wsgcn.store.label_maps import load_label_map, save_label_map
from wsgcn.store.paths import Artifacts
from wsgcn.store.photos import load_photo
from wsgcn.store.records import Affinity, Cams, load_record, save_record
from wsgcn.training.loop import fabric_for
from wsgcn.vocabulary import BACKGROUND

if TYPE_CHECKING:
    from wsgcn.params import AffinitySeeds, BoundarySeeds, CamsNet, Params
    from wsgcn.vocabulary import Variant


def train(params: Params, artifacts: Artifacts, variant: Variant) -> None:
    """Train the affinity network of a variant on seeds from its CAMs; save checkpoint, history and seeds."""
    index = load_index(artifacts.index)
    images = index.split(params.dataset.train_split)
    own, cams_net = params.affinity.net(variant), params.cams.net(variant)
    displacement = variant == "I" and params.affinity.I.displacement
    settings = network_settings(cams_net, displacement)
    if own.trained is not None:
        _take_published(Path(own.trained), artifacts, variant, settings)
        return
    fabric = fabric_for(params.runtime)
    seeds = MakeSeeds(artifacts, index.root, variant, own.seeds)
    remove_others(artifacts.folder("affinity-train", variant), [seeds.folder.name, "checkpoint.pt", "history.csv"])
    remove_others(seeds.folder, [f"{image.id}.png" for image in images])
    label = f"affinity-seeds {variant}"
    map_images(seeds, images, stage="affinity-train", label=label, workers=params.runtime.workers)
    with seeded(params.runtime.seed, "affinity", variant):
        weights = cams_net.weights if own.backbone == "weights" else None
        backbone = build_backbone(cams_net.backbone, cams_net.output_stride, weights)
        if own.backbone == "cams":
            load_part(artifacts.checkpoint("cams-train", variant), "cams", "backbone.", backbone)
        net = build_affinity_network(
            variant, backbone, freeze=own.train.backbone_lr_factor == 0, displacement=displacement
        )
    freeze_stages(backbone, cams_net.frozen_stages)
    history = train_affinity(
        net,
        {image.id: (index.photo_path(image), seeds.path(image)) for image in images},
        _load_pair,
        own.train,
        cams_net.grid_stride,
        own.train_radius,
        params.runtime.seed,
        fabric,
        label=f"affinity-train {variant}",
        section=f"affinity.{variant}.train",
    )
    save_checkpoint(artifacts.checkpoint("affinity-train", variant), f"affinity/{variant}", settings, net)
    write_table(artifacts.history("affinity-train", variant), HISTORY, history)


def _load_pair(paths: tuple[Path, Path]) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    return load_photo(paths[0]), load_label_map(paths[1])


def _take_published(path: Path, artifacts: Artifacts, variant: Variant, settings: dict[str, Any]) -> None:
    """Imported weights in the place of trained ones, with an empty history and no seeds."""
    net = _build(variant, settings)
    load_checkpoint(path, f"affinity/{variant}", settings, net)
    shutil.rmtree(artifacts.folder("affinity-train", variant), ignore_errors=True)
    save_checkpoint(artifacts.checkpoint("affinity-train", variant), f"affinity/{variant}", settings, net)
    write_table(artifacts.history("affinity-train", variant), HISTORY, [])


def _build(variant: Variant, settings: dict[str, Any]) -> AffinityNetwork:
    """The network that the settings of a checkpoint describe, not to be trained."""
    backbone = build_backbone(settings["backbone"], settings["output_stride"], None)
    return build_affinity_network(variant, backbone, freeze=True, displacement=settings["displacement"])


def infer(params: Params, artifacts: Artifacts, variant: Variant) -> None:
    """Write ``affinity/<variant>/<id>.npz`` for every training photograph that lacks an up-to-date one."""
    index = load_index(artifacts.index)
    images = index.split(params.dataset.train_split)
    device = pick_device(params.runtime.device)
    make = MakeAffinity(
        artifacts=artifacts,
        root=index.root,
        variant=variant,
        net=params.cams.net(variant),
        radius=params.affinity.net(variant).radius,
        displacement=variant == "I" and params.affinity.I.displacement,
        device=str(device),
        checkpoint_digest=file_digest(artifacts.checkpoint("affinity-train", variant)),
    )
    make.network()  # a checkpoint that does not fit is one error, not one for each image
    workers = params.runtime.workers if device.type == "cpu" else 1
    make_files(make, images, artifacts=artifacts, stage="affinity", name=variant, suffix=".npz", workers=workers)


@dataclass(frozen=True)
class MakeSeeds:
    """Loads a photograph and its CAMs, finds the confident pixels, saves them as a label map."""

    artifacts: Artifacts
    root: str
    variant: Variant
    params: BoundarySeeds | AffinitySeeds

    @property
    def folder(self) -> Path:
        """Where the seeds lie."""
        return self.artifacts.folder("affinity-train", self.variant) / "seeds"

    def path(self, image: ImageRecord) -> Path:
        """The seeds of one image, ``(H, W)`` class ids, 255 = unsure."""
        return self.folder / f"{image.id}.png"

    def __call__(self, image: ImageRecord) -> bool:
        """Make one image's seeds; False where they are up to date."""
        cams_path = self.artifacts.arrays("cams", self.variant, image.id)
        photo = Path(self.root) / image.photo
        inputs = [require_fingerprint(cams_path), file_digest(photo)]
        mark = fingerprint("affinity", [self.params.model_dump()], inputs)
        if read_fingerprint(self.path(image)) == mark:
            return False
        cams, rgb_u8 = load_record(cams_path, Cams), load_photo(photo)
        height, width = rgb_u8.shape[:2]
        grid = grid_size(height, width, self.params.stride)
        small, maps = downscale_rgb(rgb_u8, grid), resize_maps(cams.cams, grid)
        positions = self._seeds(maps, small)
        class_ids = to_class_ids(positions, np.concatenate([[BACKGROUND], cams.class_ids]))
        labels = Image.fromarray(class_ids).resize((width, height), Image.Resampling.NEAREST)
        save_label_map(self.path(image), np.asarray(labels), mark)
        return True

    def _seeds(self, cams: NDArray[np.float32], rgb_u8: NDArray[np.uint8]) -> NDArray[np.uint8]:
        if self.variant == "I":
            return boundary_seeds(cams, rgb_u8, cast("BoundarySeeds", self.params))
        return affinity_seeds(cams, rgb_u8, cast("AffinitySeeds", self.params))


@dataclass(frozen=True)
class MakeAffinity:
    """Loads a photograph, computes its graph and node features, saves them."""

    artifacts: Artifacts
    root: str
    variant: Variant
    net: CamsNet
    radius: int
    displacement: bool
    device: str
    checkpoint_digest: str

    def __call__(self, image: ImageRecord) -> bool:
        """Make one image's file; False where it is up to date."""
        path = self.artifacts.arrays("affinity", self.variant, image.id)
        photo = Path(self.root) / image.photo
        settings = [{"grid_stride": self.net.grid_stride, "radius": self.radius}]
        mark = fingerprint("affinity", settings, [self.checkpoint_digest, file_digest(photo)])
        if read_fingerprint(path) == mark:
            return False
        x = to_input(load_photo(photo)).to(self.device)
        offsets = half_disc(self.radius)
        grid = grid_size(x.shape[1], x.shape[2], self.net.grid_stride)
        net = self.network()
        with torch.inference_mode():
            features = net.node_features(net.taps(x[None]), grid)
            maps = net.affinity_maps(features)
            weights = stencil_weights(maps, net.affinity, offsets)
            boundary = maps[0, 0] if self.variant == "I" else torch.zeros(grid)
        arrays = (part.cpu().numpy().astype(np.float16) for part in (weights, boundary, features[0]))
        save_record(path, Affinity(np.array(offsets, dtype=np.int64), *arrays), mark)
        return True

    def network(self) -> AffinityNetwork:
        """The trained affinity network, loaded once a process."""
        return _load(self)


@lru_cache(maxsize=1)
def _load(make: MakeAffinity) -> AffinityNetwork:
    path = make.artifacts.checkpoint("affinity-train", make.variant)
    settings = network_settings(make.net, make.displacement)
    net = _build(make.variant, settings)
    load_checkpoint(path, f"affinity/{make.variant}", settings, net)
    return net.to(make.device)
