"""Stage ``cams``: train the classifier of a variant, then write the CAMs of every training photograph."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from wsgcn.cams.cam import class_activation_maps
from wsgcn.cams.fit import train_classifier
from wsgcn.cams.net import CamNet, build_cam_net, net_settings
from wsgcn.errors import DataError
from wsgcn.nets.backbone import freeze_stages, to_input
from wsgcn.ops.resize import grid_size
from wsgcn.runtime.devices import pick_device
from wsgcn.runtime.per_image import make_files
from wsgcn.runtime.seeds import seeded
from wsgcn.store.checkpoints import load_checkpoint, save_checkpoint
from wsgcn.store.files import HISTORY, write_table, write_text
from wsgcn.store.fingerprints import file_digest, fingerprint, read_fingerprint
from wsgcn.store.index import ImageRecord, load_index
from wsgcn.store.paths import Artifacts
from wsgcn.store.photos import load_photo
from wsgcn.store.records import Cams, save_record
from wsgcn.training.loop import fabric_for
from wsgcn.vocabulary import VARIANTS

if TYPE_CHECKING:
    from wsgcn.params import CamsInference, CamsNet, Params
    from wsgcn.vocabulary import Variant


def train(params: Params, artifacts: Artifacts, variant: Variant) -> None:
    """Train the multi-label classifier of a variant on image-level labels; save its checkpoint and history.

    Where both variants have the same classifier, the second takes the first one's: training it again from the same
    seed would give the same weights. Imported weights (``trained``) are taken as they are, with an empty history.
    """
    index = load_index(artifacts.index)
    settings, classes = params.cams.net(variant), len(index.class_names)
    structure = net_settings(settings, classes)
    mark_file = _mark_file(artifacts, variant)
    if settings.trained is not None:
        net = build_cam_net(settings, classes, pretrained=False)
        load_checkpoint(Path(settings.trained), "cams", structure, net)
        mark_file.unlink(missing_ok=True)
        write_table(artifacts.history("cams-train", variant), HISTORY, [])
        save_checkpoint(artifacts.checkpoint("cams-train", variant), "cams", structure, net)
        return
    images = index.split(params.dataset.train_split)
    seed = params.runtime.seed
    fabric = fabric_for(params.runtime)
    with seeded(seed, "cams"):
        net = build_cam_net(settings, classes, pretrained=True)
    freeze_stages(net.backbone, settings.frozen_stages)
    photos = {image.id: index.photo_path(image) for image in images}
    mark = fingerprint(
        "cams",
        [
            structure,
            settings.model_dump(exclude={"weights", "trained", "grid_stride"}),
            params.runtime.model_dump(exclude={"device", "workers"}),
        ],
        [(settings.weights and file_digest(Path(settings.weights))) or "", *map(file_digest, photos.values())]
        + [f"{image.id} {image.class_ids}" for image in images],
    )
    twin = _take_trained(artifacts, mark, structure, net)
    mark_file.unlink(missing_ok=True)  # from here on it would not tell of what lies beside it
    if twin is None:
        ids = {image.id: image.class_ids for image in images}
        load, section = partial(_load_photo, photos), f"cams.{variant}.train"
        history = train_classifier(net, ids, load, settings.train, seed, fabric, label="cams-train", section=section)
        write_table(artifacts.history("cams-train", variant), HISTORY, history)
    else:
        write_text(artifacts.history("cams-train", variant), artifacts.history("cams-train", twin).read_text())
    save_checkpoint(artifacts.checkpoint("cams-train", variant), "cams", structure, net)
    write_text(mark_file, mark)


def _load_photo(photos: Mapping[str, Path], image_id: str) -> NDArray[np.uint8]:
    return load_photo(photos[image_id])


def _mark_file(artifacts: Artifacts, variant: Variant) -> Path:
    return artifacts.folder("cams-train", variant) / "fingerprint.txt"


def _take_trained(artifacts: Artifacts, mark: str, settings: dict[str, Any], net: CamNet) -> Variant | None:
    """Load into ``net`` a classifier trained from just this code, seed, parameters and photographs; whose it is."""
    for variant in VARIANTS:
        path = _mark_file(artifacts, variant)
        history = artifacts.history("cams-train", variant)
        if path.exists() and path.read_text() == mark and history.exists():
            try:
                load_checkpoint(artifacts.checkpoint("cams-train", variant), "cams", settings, net)
            except DataError:
                continue  # deleted or damaged since: train it again
            return variant
    return None


def infer(params: Params, artifacts: Artifacts, variant: Variant) -> None:
    """Write ``cams/<variant>/<id>.npz`` for every training photograph that lacks an up-to-date one."""
    index = load_index(artifacts.index)
    images = index.split(params.dataset.train_split)
    device = pick_device(params.runtime.device)
    make = MakeCams(
        artifacts=artifacts,
        root=index.root,
        classes=len(index.class_names),
        variant=variant,
        net=params.cams.net(variant),
        inference=params.cams.infer,
        device=str(device),
        checkpoint_digest=file_digest(artifacts.checkpoint("cams-train", variant)),
    )
    make.network()  # a checkpoint that does not fit is one error, not one for each image
    workers = params.runtime.workers if device.type == "cpu" else 1
    make_files(make, images, artifacts=artifacts, stage="cams", name=variant, suffix=".npz", workers=workers)


@dataclass(frozen=True)
class MakeCams:
    """Loads a photograph, computes its CAMs, saves them."""

    artifacts: Artifacts
    root: str
    classes: int
    variant: Variant
    net: CamsNet
    inference: CamsInference
    device: str
    checkpoint_digest: str

    def __call__(self, image: ImageRecord) -> bool:
        """Make one image's file; False where it is up to date."""
        path = self.artifacts.arrays("cams", self.variant, image.id)
        photo = Path(self.root) / image.photo
        mark = fingerprint(
            "cams",
            [
                self.net.model_dump(exclude={"weights", "trained", "frozen_stages", "dropout", "train"}),
                self.inference.model_dump(),
            ],
            [self.checkpoint_digest, file_digest(photo), repr(image.class_ids)],
        )
        if read_fingerprint(path) == mark:
            return False
        x = to_input(load_photo(photo)).to(self.device)
        grid = grid_size(x.shape[1], x.shape[2], self.net.grid_stride)
        maps = class_activation_maps(self.network(), x, image.class_ids, self.inference.scales, grid)
        save_record(path, Cams(np.array(image.class_ids, dtype=np.int64), maps), mark)
        return True

    def network(self) -> CamNet:
        """The trained classifier, loaded once a process."""
        return _load(self)


@lru_cache(maxsize=1)
def _load(make: MakeCams) -> CamNet:
    net = build_cam_net(make.net, make.classes, pretrained=False)
    path = make.artifacts.checkpoint("cams-train", make.variant)
    load_checkpoint(path, "cams", net_settings(make.net, make.classes), net)
    return net.to(make.device)
