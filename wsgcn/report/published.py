"""The paper's Tables 1 to 5 as printed, mIoU and IoU in percent; nothing here was measured by this project.

Source: Pan, Lu, Lee, Peng (ICME 2021), section 4. The compared systems' figures are the paper's, which takes them from
the publications in :data:`REFERENCES`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

PAPER = (
    'Pan, Lu, Lee and Peng, "Weakly-supervised image semantic segmentation using graph '
    'convolutional networks", ICME 2021'
)
REFERENCES = {
    3: 'J. Ahn and S. Kwak, "Learning pixel-level semantic affinity with image-level supervision for weakly '
    'supervised semantic segmentation", CVPR 2018',
    4: 'J. Ahn, S. Cho and S. Kwak, "Weakly supervised learning of instance segmentation with inter-pixel '
    'relations", CVPR 2019',
    5: 'Y. Wang, J. Zhang, M. Kan, S. Shan and X. Chen, "Self-supervised equivariant attention mechanism for weakly '
    'supervised semantic segmentation", CVPR 2020',
    6: "Y.-T. Chang, Q. Wang, W.-C. Hung, R. Piramuthu, Y.-H. Tsai and M.-H. Yang, "
    '"Weakly-supervised semantic segmentation via sub-category exploration", CVPR 2020',
    7: 'N. Araslanov and S. Roth, "Single-stage semantic segmentation from image labels", CVPR 2020',
    10: 'B. Zhang, J. Xiao, Y. Wei, M. Sun and K. Huang, "Reliability does matter: an end-to-end weakly supervised '
    'semantic segmentation approach", AAAI 2020',
    11: 'G. Sun, W. Wang, J. Dai and L. Van Gool, "Mining cross-image semantics for weakly supervised semantic '
    'segmentation", ECCV 2020',
    12: 'X. Li, T. Zhou, J. Li, Y. Zhou and Z. Zhang, "Group-wise semantic mining for weakly supervised semantic '
    'segmentation", AAAI 2021',
}

TRAIN_PHOTOGRAPHS, VAL_PHOTOGRAPHS = 1464, 1449
"""Photographs of VOC 2012's segmentation lists ``train`` and ``val``."""

ENTROPY_WEIGHT, LAPLACIAN_WEIGHT = 10.0, 0.01
"""β1 and β2 of eq. (2), where a loss is in use."""

SHORT_NAMES = (
    "bkg", "aero", "bike", "bird", "boat", "bot.", "bus", "car", "cat", "chair", "cow", "tab.", "dog", "horse", "mbk",
    "per.", "plant", "sheep", "sofa", "train", "tv",
)  # fmt: skip
"""Table 5's columns, in the order of :data:`~wsgcn.vocabulary.VOC_CLASSES`."""


ABLATED = "WSGCN-I"
"""The method of Table 2."""


class LabelRow(NamedTuple):
    """A row of Table 1: complete pseudo labels on ``train``.

    The paper does not say which of these labels went through a CRF. ``crf`` says it for the methods of this project:
    the paper's 68.0 of WSGCN-I is Table 2's with the CRF, PSA's figure is its publication's after the CRF, IRNet's is
    that of its public code (``run_sample.py``), which uses none, and those of SEAM and SC-CAM are of their random
    walks: SEAM's public code (``infer_aff.py``) uses a CRF only if asked, SC-CAM's README names the walk alone.
    SingleStage's is that of its public code's README after the CRF (64.7 before). None of the others, which are not
    methods here.
    """

    system: str
    reference: int | None
    miou: float
    crf: bool | None


class Ablation(NamedTuple):
    """A row of Table 2: pseudo labels of :data:`ABLATED` on ``train`` by what is in use."""

    entropy: bool
    laplacian: bool
    crf: bool
    miou: float


Recipe = Mapping[str, float | str]
IMAGENET_RECIPE: Recipe = {
    "frozen_stages": 1,
    "steps": 90_000,
    "batch": 26,
    "accumulate": 1,
    "crop": 381,
    "lr": 1e-3,
    "head_lr_factor": 1,
    "head_bias_lr_factor": 2,
    "freeze_norm": "affine",
}
COCO_RECIPE: Recipe = {
    "frozen_stages": 0,
    "steps": 20_000,
    "batch": 5,
    "accumulate": 2,
    "crop": 321,
    "lr": 2.5e-4,
    "head_lr_factor": 10,
    "head_bias_lr_factor": 20,
    "freeze_norm": "all",
}
"""Of section ``segtrain``, in what the networks that start from ImageNet and from MS-COCO differ.

Source: the public WSGCN names johnnylu305/deeplab-imagenet-pytorch (``configs/voc12ImageNet.yaml``, ``main.py``) and
kazuto1011/deeplab-pytorch (``configs/voc12.yaml``, ``main.py``).
"""


def _also_smaller(recipe: Recipe) -> tuple[Recipe, Recipe]:
    return recipe, {**recipe, "batch": 12, "crop": 321}


IMAGENET_RECIPES = _also_smaller(IMAGENET_RECIPE)
"""deeplab-imagenet-pytorch's README has two; which one the paper used, nobody says."""

DRN_RECIPES = _also_smaller({**IMAGENET_RECIPE, "frozen_stages": 0})
"""Nobody says how Table 4's networks were trained either; deeplab-imagenet-pytorch once had DRN-D-105 too. It trains
the convolutions with ``layer`` in their names: not torchvision's first one, but all of DRN's."""


class Network(NamedTuple):
    """A row of Table 3 or 4: a segmentation network on ``val`` and ``test``.

    Table 4 prints no publication; ``mark`` is explained in :data:`MARKS`.
    """

    system: str
    mark: str
    reference: int | None
    publication: str
    backbone: str
    val: float
    test: float


TABLE_1 = (
    LabelRow("PSA", 3, 59.7, True),
    LabelRow("SC-CAM", 6, 63.4, False),
    LabelRow("SEAM", 5, 63.6, False),
    LabelRow("IRNet", 4, 66.5, False),
    LabelRow("SingleStage", 7, 66.9, True),
    LabelRow("WSGCN-P", None, 64.0, True),
    LabelRow("WSGCN-I", None, 68.0, True),
)
TABLE_2 = (
    Ablation(False, False, False, 62.0),
    Ablation(True, False, False, 63.5),
    Ablation(False, True, False, 64.4),
    Ablation(True, True, False, 66.7),
    Ablation(True, False, True, 66.0),
    Ablation(False, True, True, 66.1),
    Ablation(True, True, True, 68.0),
)
MARKS = {
    "*": "saliency maps as extra supervision",
    "†": "backbone of DeepLabv2 pre-trained on MS-COCO",
    "††": "DeepLabv3+ as the segmentation network",
}
TABLE_3 = (
    Network("PSA", "", 3, "CVPR18", "ResNet-38", 61.7, 63.7),
    Network("IRNet", "", 4, "CVPR19", "ResNet-50", 63.5, 64.8),
    Network("SEAM", "", 5, "CVPR20", "ResNet-38", 64.5, 65.7),
    Network("SC-CAM", "†", 6, "CVPR20", "ResNet-101", 66.1, 65.9),
    Network("RRM", "†", 10, "AAAI20", "ResNet-101", 66.3, 66.5),
    Network("SingleStage", "††", 7, "CVPR20", "ResNet-101", 65.7, 66.6),
    Network("MCIS", "*", 11, "ECCV20", "ResNet-101", 66.2, 66.9),
    Network("GroupWSSS", "*", 12, "AAAI21", "ResNet-101", 68.2, 68.5),
    Network("WSGCN-I", "", None, "", "ResNet-101", 66.7, 68.8),
    Network("WSGCN-I", "†", None, "", "ResNet-101", 68.7, 69.3),
)
TABLE_4 = (
    Network("PSA", "", 3, "", "DRN-D-105", 60.9, 61.9),
    Network("WSGCN-P", "", None, "", "DRN-D-105", 63.1, 64.4),
    Network("IRNet", "", 4, "", "DRN-D-105", 66.0, 66.5),
    Network("WSGCN-I", "", None, "", "DRN-D-105", 66.9, 67.5),
)
TABLE_5 = {
    "IRNet": (90.2, 75.8, 32.5, 76.5, 49.6, 65.9, 82.6, 76.2, 82.7, 31.8, 77.5, 41.8, 79.4, 75.0, 81.2, 75.2, 47.9,
              81.1, 51.5, 62.5, 59.1, 66.5),
    "WSGCN-I": (91.0, 79.8, 33.8, 78.2, 50.9, 65.7, 86.8, 79.3, 86.0, 27.4, 75.2, 48.9, 83.4, 76.2, 82.7, 74.4, 64.3,
                86.0, 51.0, 64.2, 58.6, 68.8),
}  # fmt: skip
"""IoU of each class on ``test`` in the order of :data:`SHORT_NAMES`, and their mean; ResNet-101."""
