"""The demo's pictures on disk: those of ``paint.py`` in the layout of the VOC devkit."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING
from xml.sax.saxutils import escape

from PIL import Image

from wsgcn.dataset.figures import DEMO
from wsgcn.dataset.paint import DemoPicture, draw_picture
from wsgcn.errors import UsageError
from wsgcn.store.files import remove_others, write_atomic, write_text
from wsgcn.vocabulary import palette

if TYPE_CHECKING:
    from wsgcn.dataset.demo import Demo

JPEG_QUALITY = 90


def make_demo(root: Path, class_names: Sequence[str], demo: Demo) -> None:
    """Write the demo's pictures, labels, masks and split lists below ``root``; the same bytes every time.

    Args:
        root: folder to fill; ``JPEGImages``, ``Annotations``, … come below it.
        class_names: names by class id, background first; the demo has five more classes.
        demo: number and size of the pictures, seed.

    Raises:
        UsageError: the number of classes is wrong.
    """
    if len(class_names) != len(DEMO) + 1:
        raise UsageError(
            f"dataset.classes has {len(class_names)} names, but the demo has background and {len(DEMO)} classes: "
            "give as many, or choose another dataset.kind"
        )
    splits = {"train": demo.train_images, "val": demo.val_images}
    for split, count in splits.items():
        ids = [f"{split}_{number:04}" for number in range(count)]
        for number, image_id in enumerate(ids):
            picture = draw_picture(image_id, number, demo.height, demo.width, demo.seed)
            _write_picture(root, image_id, picture, class_names)
        _write_split(root, split, ids)
        if split == "train":
            _write_split(root, "trainaug", ids)  # the name of VOC's longer list
    every_id = [f"{split}_{number:04}" for split, count in splits.items() for number in range(count)]
    for folder, suffix in (("JPEGImages", "jpg"), ("Annotations", "xml"), ("SegmentationClass", "png")):
        remove_others(root / folder, [f"{one}.{suffix}" for one in every_id])  # of an earlier, longer demo


def _write_split(root: Path, split: str, ids: Sequence[str]) -> None:
    write_text(root / "ImageSets" / "Segmentation" / f"{split}.txt", "".join(f"{one}\n" for one in ids))


def _write_picture(root: Path, image_id: str, picture: DemoPicture, class_names: Sequence[str]) -> None:
    photo = Image.fromarray(picture.rgb_u8)
    photo_path = root / "JPEGImages" / f"{image_id}.jpg"
    write_atomic(photo_path, lambda file: photo.save(file, format="JPEG", quality=JPEG_QUALITY))
    mask = Image.fromarray(picture.mask)
    mask.putpalette(palette())
    write_atomic(root / "SegmentationClass" / f"{image_id}.png", lambda file: mask.save(file, format="PNG"))
    names = [class_names[class_id] for class_id in picture.class_ids]
    write_text(root / "Annotations" / f"{image_id}.xml", _annotation(photo_path.name, photo.size, names))


def _annotation(filename: str, size: tuple[int, int], names: Sequence[str]) -> str:
    """Image-level labels as VOC writes them, without the boxes that nothing here may use."""
    objects = "".join(f"\t<object>\n\t\t<name>{escape(name)}</name>\n\t</object>\n" for name in names)
    return (
        f"<annotation>\n\t<filename>{filename}</filename>\n"
        f"\t<size>\n\t\t<width>{size[0]}</width>\n\t\t<height>{size[1]}</height>\n\t\t<depth>3</depth>\n\t</size>\n"
        f"{objects}</annotation>\n"
    )
