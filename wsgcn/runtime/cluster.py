"""A per-image stage on a Ray cluster: chunks of its images go to whatever machine has a core free."""

from __future__ import annotations

import logging
import math
import os
import secrets
import signal
import socket
from collections import deque
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from wsgcn.errors import UsageError, WsgcnError
from wsgcn.runtime.node import ImageDone, Project, do_chunk
from wsgcn.runtime.workers import Outcome, collect

if TYPE_CHECKING:
    from wsgcn.params import Runtime
    from wsgcn.runtime.per_image import PerImage
    from wsgcn.store.index import ImageRecord

Groups = Sequence[Sequence["ImageRecord"]]

CHUNK = 16
"""Groups in one chunk at most: what the loss of a machine costs each of its cores."""
CHUNKS_A_CORE = 8
"""Chunks for each core at least, so that all end at about the same time."""
AHEAD = 2
"""Chunks for each core that are handed out at a time: one in work, one that waits for it."""
SECONDS_TO_CONNECT, SECONDS_TO_STOP = 5, 10
AGAIN = 3
"""How often a chunk is done again whose machine or process was lost."""


@dataclass(frozen=True)
class Cluster:
    """A Ray cluster that does the work of a stage.

    Attributes:
        address: ``host:port``, or ``auto`` for the one that this machine belongs to.
        workers: processes at a time on all machines; 0 = one a core of the cluster.
        gpu: each of them needs a GPU.
    """

    address: str
    workers: int
    gpu: bool

    @classmethod
    def of(cls, runtime: Runtime, device: str = "cpu") -> Cluster | None:
        """The cluster that ``runtime`` names; None where processes of this machine do the work.

        Args:
            runtime: engine, address and number of processes.
            device: of the work.

        Raises:
            UsageError: the device is one GPU of one machine.
        """
        if runtime.engine != "ray":
            return None
        if device not in ("cpu", "cuda"):
            raise UsageError(f"runtime.device {device} is one machine's: with runtime.engine ray use cuda or cpu")
        return cls(runtime.address, runtime.workers, device != "cpu")

    def map_images(
        self,
        make: PerImage[Any],
        groups: Groups,
        *,
        stage: str,
        label: str,
        memory: int,
        finished: Callable[[str], None] | None,
    ) -> dict[str, float]:
        """Do every image, on all machines; arguments and result are those of :func:`~wsgcn.runtime.workers.map_images`.

        Raises:
            StageError: some images failed; the others were done.
            UsageError: there is no such cluster, a machine has other code or files, or a chunk was lost too often.
        """
        total = sum(map(len, groups))
        if total == 0:
            return {}
        with self._connected() as ray, _project(make) as project:
            work = _Chunks(ray, self, make, project, groups, memory)
            manner = f"Ray, {_cores(ray)} cores of {sum(node['Alive'] for node in ray.nodes())} machines"
            with closing(work.outcomes()) as outcomes:
                return collect(outcomes, stage=stage, label=label, total=total, manner=manner, finished=finished)

    @contextmanager
    def _connected(self) -> Iterator[Any]:
        os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
        try:
            import ray
        except ImportError:
            raise UsageError("runtime.engine ray needs Ray: pip install 'wsgcn[ray]'") from None
        self._require_reachable()
        terminate = signal.getsignal(signal.SIGTERM)
        try:
            ray.init(address=self.address, log_to_driver=False, logging_level=logging.ERROR)
        except (ConnectionError, ValueError, RuntimeError) as error:
            raise UsageError(f"Ray cannot use runtime.address {self.address}: {_first_line(error)}") from error
        signal.signal(signal.SIGTERM, terminate)  # in whose place Ray puts its own
        try:
            self._require_resources(ray.cluster_resources())
            yield ray
        finally:
            ray.shutdown()

    def _require_reachable(self) -> None:
        """Ray itself waits for minutes for a cluster that is not there."""
        if self.address == "auto":
            return
        host, _, port = self.address.rpartition(":")
        try:
            socket.create_connection((host, int(port)), SECONDS_TO_CONNECT).close()
        except (OSError, ValueError, OverflowError) as error:
            raise UsageError(
                f"no Ray cluster answers at runtime.address {self.address} ({error}): start one with "
                "`ray start --head`, or set runtime.engine: processes"
            ) from None

    def _require_resources(self, there: dict[str, float]) -> None:
        wanted = "GPU" if self.gpu else "CPU"
        if there.get(wanted, 0) < 1:
            raise UsageError(f"the Ray cluster at {self.address} has no {wanted}: see `ray status`")


class _Chunks:
    """The chunks of a stage: handed out a few at a time, heard of as they are done."""

    def __init__(self, ray: Any, cluster: Cluster, make: PerImage[Any], project: Project, groups: Groups, memory: int):
        size = max(1, min(CHUNK, math.ceil(len(groups) / (CHUNKS_A_CORE * _cores(ray)))))
        self._ray, self._limit, self._make, self._project = ray, cluster.workers, make, project
        self._given = ray.put((make, project))  # once, not with each chunk
        self._waiting = deque(groups[start : start + size] for start in range(0, len(groups), size))
        self._running: dict[Any, Groups] = {}
        self._remote = ray.remote(do_chunk).options(
            num_cpus=1,
            num_gpus=int(cluster.gpu),
            memory=min(memory, _largest_memory(ray)),  # Ray waits for ever for a machine that has more than any
            max_retries=AGAIN,
            scheduling_strategy="SPREAD",
        )

    def outcomes(self) -> Generator[tuple[str, Outcome]]:
        """What became of each image, chunk by chunk in whatever order."""
        try:
            while self._waiting or self._running:
                self._hand_out()
                (ready, *_), _ = self._ray.wait([*self._running], num_returns=1)
                for image, done in zip(self._images(ready), self._result(ready), strict=True):
                    yield image.id, done.received(self._make, image)
                del self._running[ready]
        finally:
            if self._running:  # Ray's own `cancel` ends this process where a machine was lost at the same moment
                with suppress(OSError):
                    self._project.stop()
                self._ray.wait([*self._running], num_returns=len(self._running), timeout=SECONDS_TO_STOP)

    def _hand_out(self) -> None:
        room = self._limit or AHEAD * _cores(self._ray)  # machines come and go
        while self._waiting and len(self._running) < room:
            chunk = self._waiting.popleft()
            self._running[self._remote.remote(self._given, chunk)] = chunk

    def _images(self, ready: Any) -> list[ImageRecord]:
        return [image for group in self._running[ready] for image in group]

    def _result(self, ready: Any) -> list[ImageDone]:
        errors = self._ray.exceptions
        try:
            return self._ray.get(ready)
        except errors.RayTaskError as error:
            if isinstance(error.cause, WsgcnError | OSError):
                raise error.cause from None
            if "No module named 'wsgcn" in str(error):
                raise UsageError("a machine of the Ray cluster has no wsgcn: install the same on all") from error
            raise
        except errors.RayError as error:
            first, *_, last = [image.id for image in self._images(ready)] * 2
            raise UsageError(
                f"{first} to {last} could not be done on any machine ({type(error).__name__}), most likely for want of "
                "memory: start Ray with fewer CPUs a machine and run it again, what is done stays done"
            ) from error


@contextmanager
def _project(make: PerImage[Any]) -> Iterator[Project]:
    """This project folder, with a file in it by which another machine knows whether it sees the very same one."""
    mark = make.folder / f".{secrets.token_hex(8)}.part"
    make.folder.mkdir(parents=True, exist_ok=True)
    mark.touch()
    try:
        yield Project.here(mark)
    finally:
        with suppress(FileNotFoundError):
            mark.unlink()


def _cores(ray: Any) -> int:
    return max(1, int(ray.cluster_resources().get("CPU", 1)))


def _largest_memory(ray: Any) -> int:
    """Bytes that the machine with the most memory lends to work."""
    return int(max((node["Resources"].get("memory", 0) for node in ray.nodes() if node["Alive"]), default=0))


def _first_line(error: BaseException) -> str:
    return str(error).strip().partition("\n")[0]
