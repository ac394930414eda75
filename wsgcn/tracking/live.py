"""Live curves: a long stage shows its points in MLflow while it works, without waiting for the store.

Where the store is away in between, points wait until it is back.
"""

from __future__ import annotations

import threading
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING

from wsgcn.tracking.connection import give_up, troubles
from wsgcn.tracking.contents import Point, milliseconds
from wsgcn.tracking.run import Run

if TYPE_CHECKING:
    from wsgcn.methods import Method
    from wsgcn.params import Params
    from wsgcn.runtime.progress import LogMetrics, Warn

SEND_EVERY, MEANS_EVERY, RETRY_EVERY = 2.0, 30.0, 30.0
"""Seconds between two batches of points of curves, between two points of means, and until a store that was away is
tried again."""


@contextmanager
def live(params: Params, method: Method, warn: Warn) -> Iterator[LogMetrics]:
    """Let a long stage show its curves while it works.

    Args:
        params: the whole of ``params.yaml``.
        method: whose run takes the points.
        warn: told once, at the end, if the points could not be sent.

    Yields:
        A function that takes metrics by name and their step, and returns at once.
    """
    with _sending(_Sender(params, method), params, warn) as log:
        yield log


@contextmanager
def live_means(params: Params, method: Method, warn: Warn) -> Iterator[LogMetrics]:
    """Let a stage of many photographs show the means of their numbers over those that are done: ``live_gcn_total``.

    A point for each photograph would make a store of a large dataset slow, and its order means nothing.

    Args:
        params: the whole of ``params.yaml``.
        method: whose run takes the means.
        warn: told once, at the end, if they could not be sent.

    Yields:
        A function that takes a photograph's numbers by name and its position, and returns at once.
    """
    with _sending(_MeanSender(params, method), params, warn) as log:
        yield log


@contextmanager
def _sending(sender: _Sender, params: Params, warn: Warn) -> Iterator[LogMetrics]:
    sender.start()
    status = "KILLED"  # what MLflow calls a run that a person, or a batch system, has ended
    try:
        yield sender.log
        status = "FINISHED"
    except Exception:
        status = "FAILED"
        raise
    finally:
        sender.finish(status)
        if sender.trouble:
            give_up(params, sender.trouble, warn)


class _Sender(threading.Thread):
    """Sends points in batches while a stage works; makes no run where no point ever comes."""

    def __init__(self, params: Params, method: Method):
        super().__init__(name="mlflow", daemon=True)
        self.trouble: Exception | None = None
        self._params, self._method = params, method
        self._lock, self._done, self._closed = threading.Lock(), threading.Event(), threading.Event()
        self._points: list[Point] = []
        self._status = "RUNNING"
        self._run: Run | None = None

    def log(self, metrics: Mapping[str, float], step: int) -> None:
        """Keep points for the next batch."""
        now = milliseconds()
        with self._lock:
            self._points += [Point(name, step, float(value), now) for name, value in metrics.items()]

    def finish(self, status: str) -> None:
        """Send the rest and close the run; :attr:`trouble` says why that was not possible.

        The first interrupt meanwhile closes it as killed and then goes on, a second one does not wait.
        """
        self._status = status
        self._done.set()
        try:
            self._closed.wait()  # an interrupted `join` takes the thread for ended
        except BaseException:
            self._status = "KILLED"
            self._closed.wait()
            raise

    def run(self) -> None:
        """Send until :meth:`finish`."""
        try:
            while not self._done.wait(RETRY_EVERY if self.trouble else self._pause()):
                self._attempt(self._send)
            self._attempt(self._close)
        finally:
            self._closed.set()

    def _attempt(self, act: Callable[[], None]) -> None:
        self.trouble = None
        try:
            act()
        except troubles() as error:
            self.trouble = error

    def _send(self) -> None:
        with self._lock:
            points, self._points = self._points, []
        if not points:
            return
        try:
            self._hand_over(self._described(), points)
        except troubles():
            with self._lock:
                self._points = points + self._points
            raise

    def _described(self) -> Run:
        """The run, once it has its parameters."""
        if self._run is None:
            run = Run(self._params, self._method)
            run.describe("RUNNING")
            self._run = run
        return self._run

    def _close(self) -> None:
        self._send()
        if self._run is not None:
            self._run.client.set_terminated(self._run.id, self._status)

    def _pause(self) -> float:
        return SEND_EVERY

    def _hand_over(self, run: Run, points: list[Point]) -> None:
        run.add(points)


class _MeanSender(_Sender):
    """Sends the means of what it is given; the latest replace the older."""

    def __init__(self, params: Params, method: Method):
        super().__init__(params, method)
        self._photographs = 0
        self._sums: defaultdict[str, float] = defaultdict(float)

    def log(self, metrics: Mapping[str, float], step: int) -> None:
        """Add a photograph's numbers, and keep the means for the next batch."""
        with self._lock:
            self._photographs += 1
            for name, value in metrics.items():
                self._sums[name] += float(value)
            means = {f"live_{name}": total / self._photographs for name, total in self._sums.items()}
            self._points = [Point(name, 0, mean, milliseconds()) for name, mean in means.items()]

    def _pause(self) -> float:
        return MEANS_EVERY

    def _hand_over(self, run: Run, points: list[Point]) -> None:
        run.replace({point.name: point.value for point in points})
