"""Runs the scripts of IRNet and PSA as they are, on a CPU and on one photograph, and catches what they would write.

What they need beside their own files is put in the place of a GPU, of packages that are not installed, of files with
labels, and of NumPy's pickles: nothing of that computes anything. Their code stays outside of this repository.
"""

from __future__ import annotations

import contextlib
import importlib
import random
import runpy
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import PIL.Image
import pytest
import scipy
import torch
from torch import nn
from torch.nn import functional

NAME = "2007_000001"
CLASSES = 20


class _Content:
    """What ``numpy.load(...).item()`` gives."""

    def __init__(self, value: Any):
        self.item = lambda: value


def _module(patch: pytest.MonkeyPatch, name: str, **content: Any) -> None:
    made = ModuleType(name)
    for key, value in content.items():
        setattr(made, key, value)
    patch.setitem(sys.modules, name, made)


def _batch(item: Any) -> Any:
    """A batch of one item; a size stays a number, as NumPy once took it from a tensor."""
    batch = torch.utils.data.default_collate([item])
    if isinstance(batch, dict) and "size" in batch:
        batch["size"] = [int(one) for one in batch["size"]]
    return batch


def _block_means(image: np.ndarray, block: tuple[int, ...], function: Callable[..., Any]) -> np.ndarray:
    """scikit-image's ``block_reduce`` for sides that are whole blocks."""
    assert function is np.mean
    rows, columns = image.shape[0] // block[0], image.shape[1] // block[1]
    return image.reshape(rows, block[0], columns, block[1], -1).mean(axis=(1, 3))


@contextlib.contextmanager
def public_project(folder: Path, scratch: Path) -> Iterator[Catch]:
    """Inside, modules of a project can be imported, and scripts run; what they save is caught.

    Args:
        folder: work tree of the project.
        scratch: folder for a photograph.
    """
    caught = Catch(folder, scratch)
    with pytest.MonkeyPatch.context() as patch, torch.no_grad():
        patch.syspath_prepend(folder)
        patch.chdir(folder)
        patch.setattr(torch.Tensor, "cuda", lambda self, *_, **__: self)
        patch.setattr(nn.Module, "cuda", lambda self, *_, **__: self)
        patch.setattr(torch.cuda, "device", lambda *_: contextlib.nullcontext())
        patch.setattr(torch.cuda, "device_count", lambda: caught.gpus)
        patch.setattr(nn.parallel, "replicate", lambda net, devices: [net for _ in devices])
        patch.setattr(torch, "load", lambda *_: {})
        patch.setattr(functional, "upsample", functional.interpolate, raising=False)
        patch.setattr(PIL.Image, "CUBIC", PIL.Image.Resampling.BICUBIC, raising=False)
        patch.setattr(np, "load", lambda *_, **__: _Content(caught.read))
        patch.setattr(np, "save", lambda path, content: caught.saved.update({str(path): content}))
        patch.setattr(torch.utils.data, "DataLoader", lambda data, **_: (_batch(data[at]) for at in range(len(data))))
        write = caught.saved.__setitem__
        _module(patch, "imageio", imwrite=write, imsave=write)
        _module(patch, "scipy.misc", imsave=write)
        patch.setattr(scipy, "misc", sys.modules["scipy.misc"], raising=False)
        _module(patch, "torchvision", transforms=SimpleNamespace(Compose=_Compose))
        _module(patch, "cv2")
        _module(patch, "skimage")
        _module(patch, "skimage.measure", block_reduce=_block_means)
        patch.setattr(sys.modules["skimage"], "measure", sys.modules["skimage.measure"], raising=False)
        try:
            yield caught
        finally:
            for name, module in list(sys.modules.items()):
                if str(getattr(module, "__file__", None)).startswith(str(folder)):
                    del sys.modules[name]


class _Compose:
    def __init__(self, steps: Sequence[Callable[[Any], Any]]):
        self.steps = steps

    def __call__(self, value: Any) -> Any:
        for step in self.steps:
            value = step(value)
        return value


class Catch:
    """What scripts read by ``numpy.load``, what they saved by path, and how many GPUs they see."""

    def __init__(self, folder: Path, scratch: Path):
        self.folder, self.scratch, self.gpus = folder, scratch, 1
        self.read: Any = {}
        self.saved: dict[str, Any] = {}

    def only(self) -> Any:
        """The one thing that was saved."""
        (value,) = self.saved.values()
        self.saved.clear()
        return value


def shown(class_ids: Sequence[int]) -> np.ndarray:
    """The vector of the classes 1 … 20."""
    vector = np.zeros(CLASSES, np.float32)
    vector[[one - 1 for one in class_ids]] = 1
    return vector


# ---------------------------------------------------------------- IRNet


def _pack(data: Any, scales: Sequence[float], rgb_u8: np.ndarray, class_ids: Sequence[int]) -> Any:
    """The one item of IRNet's own dataset at several scales."""
    dataset = data.VOC12ClassificationDatasetMSF.__new__(data.VOC12ClassificationDatasetMSF)
    dataset.img_name_list, dataset.voc12_root, dataset.scales = [NAME], "", scales
    dataset.img_normal, dataset.label_list = data.TorchvisionNormalize(), [shown(class_ids)]
    sys.modules["imageio"].imread = lambda _: rgb_u8
    return [dataset[0]]


ARGS = SimpleNamespace(
    num_workers=8, cam_out_dir="", ir_label_out_dir="", sem_seg_out_dir="", beta=10, exp_times=8,
    conf_fg_thres=0.30, conf_bg_thres=0.05, sem_seg_bg_thres=0.25,
)  # fmt: skip
"""As ``run_sample.py`` has them."""


def irnet_cams(caught: Catch, model: nn.Module, rgb_u8: np.ndarray, class_ids: Sequence[int]) -> dict[str, Any]:
    """``step/make_cam.py``: keys, the maps of stride 4, and those of every pixel."""
    step, data = importlib.import_module("step.make_cam"), importlib.import_module("voc12.dataloader")
    caught.gpus = 2  # the last GPU's process shows progress
    packs = _pack(data, (1.0, 0.5, 1.5, 2.0), rgb_u8, class_ids)
    step._work(0, model, [packs], ARGS)
    return caught.only()


def irnet_labels(caught: Catch, cams: dict[str, Any], rgb_u8: np.ndarray) -> np.ndarray:
    """``step/cam_to_ir_label.py``: the labels that teach the boundary, ``(H, W)``."""
    step = importlib.import_module("step.cam_to_ir_label")
    caught.read = cams | {"keys": np.asarray(cams["keys"])}
    step._work(0, [[{"name": NAME, "img": rgb_u8}]], ARGS)
    return np.asarray(caught.only())


def irnet_walk(caught: Catch, boundary: np.ndarray, cams: dict[str, Any], rgb_u8: np.ndarray) -> np.ndarray:
    """``step/make_sem_seg_labels.py`` with a boundary ``(h, w)`` that is known: labels ``(H, W)``."""
    step, data = importlib.import_module("step.make_sem_seg_labels"), importlib.import_module("voc12.dataloader")
    caught.read, caught.gpus = cams, 2
    edge = torch.from_numpy(boundary)[None]
    packs = _pack(data, (1.0,), rgb_u8, [1])
    step._work(0, _Constant((edge, edge)), [packs], ARGS)
    return np.asarray(caught.only())


class _Constant(nn.Module):
    def __init__(self, value: Any):
        super().__init__()
        self.value = value

    def forward(self, *_: Any) -> Any:
        return self.value


# ---------------------------------------------------------------- PSA


def _run(caught: Catch, script: str, net: nn.Module, rgb_u8: np.ndarray, options: Sequence[str]) -> None:
    """A script of PSA with a network, on a photograph that lies in a VOC devkit."""
    root = caught.scratch
    (root / "JPEGImages").mkdir(parents=True, exist_ok=True)
    PIL.Image.fromarray(rgb_u8).save(root / "JPEGImages" / f"{NAME}.jpg", format="png")  # without a loss
    (root / "list.txt").write_text(f"/JPEGImages/{NAME}.jpg\n")
    given = ["--weights", "", "--network", "given", "--infer_list", str(root / "list.txt"), "--voc12_root", str(root)]
    net.load_state_dict = lambda _: None
    net.normalize = importlib.import_module("network.resnet38d").Normalize()
    with pytest.MonkeyPatch.context() as patch:
        _module(patch, "given", Net=lambda: net)
        patch.setattr(sys, "argv", [script, *given, "--num_workers", "1", *options])
        runpy.run_path(str(caught.folder / script), run_name="__main__")


def psa_cams(caught: Catch, net: nn.Module, rgb_u8: np.ndarray, class_ids: Sequence[int]) -> dict[str, Any]:
    """``infer_cls.py``: what it saves by the name of its option: ``out_cam``, ``out_cam_pred``, both CRFs."""
    caught.read, caught.gpus = {NAME: shown(class_ids)}, 1
    names = ("out_cam", "out_cam_pred", "out_la_crf", "out_ha_crf")
    _run(caught, "infer_cls.py", net, rgb_u8, [text for name in names for text in (f"--{name}", name)])
    found = {path.split("/")[0]: content for path, content in caught.saved.items()}
    caught.saved.clear()
    return found


def seam_cams(caught: Catch, net: nn.Module, rgb_u8: np.ndarray, class_ids: Sequence[int]) -> dict[int, np.ndarray]:
    """SEAM's ``infer_SEAM.py``: the maps ``(H, W)`` that it saves by the number of the class, from 0 on."""
    caught.read = {NAME: shown(class_ids)}
    _run(caught, "infer_SEAM.py", net, rgb_u8, ["--out_cam", "out_cam"])
    return caught.only()


def psa_walk(caught: Catch, affinity: np.ndarray, cams: dict[int, np.ndarray], rgb_u8: np.ndarray) -> np.ndarray:
    """``infer_aff.py`` with an affinity matrix ``(N, N)`` that is known: labels ``(H, W)``."""
    caught.read = cams
    options = ["--cam_dir", "", "--out_rw", ""]
    _run(caught, "infer_aff.py", _Constant(torch.from_numpy(affinity)), rgb_u8, options)
    return np.asarray(caught.only())


def psa_sample(
    low: dict[int, np.ndarray], high: dict[int, np.ndarray], rgb_u8: np.ndarray, crop: int, seed: int
) -> tuple[np.ndarray, np.ndarray, dict[str, Any]]:
    """What ``train_aff.py`` shows AffinityNet, without changes of colour, ``(3, crop, crop)``, and its cells' labels.

    The third value says where its random crop lies: the first row and column that are seen, where they are put, and
    whether the crop is mirrored.
    """
    data, imutils = importlib.import_module("voc12.data"), importlib.import_module("tool.imutils")
    normalize = importlib.import_module("network.resnet38d").Normalize()
    dataset = data.VOC12AffDataset.__new__(data.VOC12AffDataset)
    dataset.img_name_list, dataset.voc12_root, dataset.transform = [NAME], "", None
    dataset.label_la_dir, dataset.label_ha_dir = "la", "ha"
    dataset.joint_transform_list = [None, None, imutils.RandomCrop(crop), imutils.RandomHorizontalFlip()]
    dataset.img_transform_list = [None, np.asarray, normalize, imutils.HWC_to_CHW]
    dataset.label_transform_list = [None, None, None, imutils.AvgPool2d(8)]
    dataset.extract_aff_lab_func = lambda label: label
    draws: list[int] = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(np, "load", lambda path: _Content(low if path.startswith("la") else high))
        patch.setattr(data.PIL.Image, "open", lambda _: PIL.Image.fromarray(rgb_u8))
        generator = random.Random(seed)
        patch.setattr(random, "randrange", lambda *given: draws.append(generator.randrange(*given)) or draws[-1])
        patch.setattr(random, "getrandbits", lambda bits: draws.append(generator.getrandbits(bits)) or draws[-1])
        photo, labels = dataset[0]
    names = ("column" if rgb_u8.shape[1] > crop else "left", "row" if rgb_u8.shape[0] > crop else "top", "mirror")
    return photo, labels, dict(zip(names, draws, strict=True))
