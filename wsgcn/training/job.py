"""A training as a stage has it: where its network goes, and that none is trained twice."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from wsgcn.runtime.devices import pick_precision
from wsgcn.store.checkpoints import load_checkpoint, save_checkpoint
from wsgcn.store.files import HISTORY, write_json, write_table
from wsgcn.store.fingerprints import file_digest, fingerprint
from wsgcn.training.loop import Trained

if TYPE_CHECKING:
    from torch import nn

    from wsgcn.params import Runtime
    from wsgcn.store.finished import FinishedWork
    from wsgcn.store.index import ImageRecord, Index


@dataclass(frozen=True)
class TrainingJob:
    """What a training needs of the project.

    Attributes:
        index: the dataset.
        images: the photographs that train.
        runtime: seed, devices, precision, workers.
        finished: where finished work is kept.
        code: digest of the code, by :func:`~wsgcn.store.code.code_version`.
        checkpoint: file of the network.
        history: file of its curve.
        learned: file of the numbers that say whether it learned.
        section: dotted name of its parameters, for errors.
        label: text before the progress bar.
    """

    index: Index
    images: list[ImageRecord]
    runtime: Runtime
    finished: FinishedWork
    code: str
    checkpoint: Path
    history: Path
    learned: Path
    section: str
    label: str

    def fingerprint(self, settings: Mapping[str, Any], files: Iterable[Path], marks: Iterable[str] = ()) -> str:
        """What makes the network.

        Args:
            settings: parameters and names that decide it; seed, devices and precision are added.
            files: what is read besides the photographs.
            marks: fingerprints of inputs that carry one.
        """
        precision = pick_precision(self.runtime.precision, self.runtime.device)
        runtime = {"seed": self.runtime.seed, "devices": self.runtime.devices, "precision": precision}
        shown = [[image.id, image.class_ids, *([image.shrunk] if image.shrunk else [])] for image in self.images]
        digests = [file_digest(path) for path in (*files, *map(self.index.photo_path, self.images))]
        return fingerprint(self.code, {"training": settings, "runtime": runtime, "images": shown}, [*digests, *marks])

    def train_once(self, mark: str, learn: Callable[[Path], None]) -> bool:
        """Link network, curve and numbers if they were finished earlier; else learn, and keep them.

        Args:
            mark: fingerprint of the network.
            learn: trains, and writes all three; it is given the file in which the training is kept meanwhile.

        Returns:
            Whether it learned now.
        """
        kept = {
            f"{mark}-history": self.history,
            f"{mark}-learned": self.learned,
            f"{mark}-network": self.checkpoint,
        }
        if all(self.finished.take(name, path) for name, path in kept.items()):
            return False
        unfinished = self.finished.unfinished(mark)
        learn(unfinished)
        for name, path in kept.items():
            self.finished.keep(name, path, 0)
        unfinished.unlink(missing_ok=True)
        self.finished.shrink(self.runtime.store_gb)
        return True

    def save(
        self,
        network: str,
        settings: Mapping[str, Any],
        net: nn.Module,
        trained: Trained,
        rows: Iterable[Sequence[float]] | None = None,
    ) -> None:
        """Write the curve (``rows`` where not every update is one), what was measured, and then the network."""
        write_table(self.history, HISTORY, [one[: len(HISTORY)] for one in (trained.history if rows is None else rows)])
        write_json(self.learned, trained.learned)
        save_checkpoint(self.checkpoint, network, settings, net)

    def learn_nothing(self) -> None:
        """No network, an empty curve and no numbers, for a kind that trains none."""
        self.checkpoint.parent.mkdir(parents=True, exist_ok=True)  # DVC wants the stage's folder
        self.checkpoint.unlink(missing_ok=True)  # an earlier kind's would count among what makes the results
        write_table(self.history, HISTORY, [])
        write_json(self.learned, {})

    def take_imported(self, trained: str, network: str, settings: Mapping[str, Any], net: nn.Module) -> None:
        """Imported weights in the place of trained ones, with an empty curve."""
        load_checkpoint(Path(trained), network, settings, net)
        self.save(network, settings, net, Trained([], {}))
