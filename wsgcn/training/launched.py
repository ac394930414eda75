"""Trainings whose processes torchrun or SLURM has started, one a device, on one machine or on several.

The first process does the stage as if it were alone. The others do nothing but train with it: it sends them each of its
trainings, and they do their part of its batches. So files, records and progress are one process's, as ever.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING, Any

from wsgcn.errors import UsageError

if TYPE_CHECKING:
    import torch
    from lightning_fabric import Fabric

    from wsgcn.params import Runtime
    from wsgcn.training.descent import Step
    from wsgcn.training.loop import Training
    from wsgcn.training.processes import Work

LONGEST_WAIT = timedelta(days=1)
"""The others wait while the first one reads and writes; that one of them is lost, the launcher sees."""


def launched_processes() -> int:
    """How many processes were started to train together, this one included; 1 where no launcher started any.

    A job of SLURM has tasks without ``srun`` too, which alone starts them.
    """
    torchrun = "TORCHELASTIC_RUN_ID" in os.environ
    return int(os.environ.get("WORLD_SIZE" if torchrun else "SLURM_STEP_NUM_TASKS", "1"))


def launched_fabric(runtime: Runtime, device: torch.device, precision: Any) -> Fabric:
    """The devices of all the processes.

    Raises:
        UsageError: there are not as many processes as devices, or it is not known how many are on a machine.
    """
    from lightning_fabric import Fabric
    from lightning_fabric.plugins.environments.cluster_environment import ClusterEnvironment
    from lightning_fabric.plugins.environments.slurm import SLURMEnvironment
    from lightning_fabric.plugins.environments.torchelastic import TorchElasticEnvironment
    from lightning_fabric.strategies.ddp import DDPStrategy

    count, torchrun = launched_processes(), "TORCHELASTIC_RUN_ID" in os.environ
    here = os.environ.get("LOCAL_WORLD_SIZE" if torchrun else "SLURM_NTASKS_PER_NODE", "")
    if count != runtime.devices:
        raise UsageError(
            f"{count} processes were started to train together, "
            f"and runtime.devices is {runtime.devices}: make it {count}"
        )
    if not here.isdigit() or count % int(here):
        raise UsageError(f"{count} processes share machines unevenly: start them with --ntasks-per-node")
    environment: ClusterEnvironment = TorchElasticEnvironment() if torchrun else SLURMEnvironment(auto_requeue=False)
    return Fabric(
        accelerator=device.type,
        devices=int(here),
        num_nodes=count // int(here),
        precision=precision,
        strategy=DDPStrategy(timeout=LONGEST_WAIT),
        plugins=environment,
    )


def train_launched(work: Work, training: Training[Any], fabric: Fabric, done: Callable[[Step], None]) -> None:
    """Train in the first of the launched processes, and have the others train with it."""
    training.loss.cpu()  # which every machine has
    fabric.launch(partial(_lead, work=work, training=training, done=done))


def _lead(fabric: Fabric, work: Work, training: Training[Any], done: Callable[[Step], None]) -> None:
    fabric.broadcast(training)
    work(fabric, training, done)


@contextmanager
def trained_together(runtime: Runtime) -> Iterator[bool]:
    """Run a stage that trains in one process, whoever started how many.

    Where it fails in the block, the launcher ends the other processes.

    Args:
        runtime: devices and precision.

    Yields:
        Whether this process is to run the stage; another has trained with it by then.

    Raises:
        UsageError: there are not as many processes as ``runtime.devices``.
    """
    if launched_processes() == 1:
        yield True
        return
    from wsgcn.training.loop import fabric_for, take_part

    fabric = fabric_for(runtime)
    fabric.launch()
    if fabric.is_global_zero:
        yield True
        fabric.broadcast(None)
        return
    # This process waits in a library that would not hear of it otherwise, and has no run in MLflow to close.
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    while (training := fabric.broadcast(None)) is not None:
        take_part(fabric, training)
    yield False
