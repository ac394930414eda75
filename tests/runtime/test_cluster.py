"""A stage on a Ray cluster: the same files as by processes, a lost machine's work done again, errors in one line."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import sys
import threading
import time
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from unittest.mock import ANY

import pytest

from tests import chain
from tests.chain import contents
from tests.conftest import ROOT, changed, real_content
from tests.runtime.test_per_image import Fill, run
from wsgcn.errors import StageError, UsageError
from wsgcn.params import parse_params
from wsgcn.runtime import node
from wsgcn.runtime.cluster import Cluster, _Chunks
from wsgcn.runtime.node import STOP, ImageDone, Project, do_chunk
from wsgcn.runtime.workers import Done
from wsgcn.store.fingerprints import DigestedFile
from wsgcn.store.finished import FinishedWork
from wsgcn.store.index import ImageRecord
from wsgcn.store.paths import Artifacts

IMAGES = [ImageRecord(f"i{number:02d}", f"i{number:02d}.txt", 2, 3, (1,), ("train",)) for number in range(40)]
RUNTIME = parse_params(real_content(), "params.yaml").runtime


@dataclass(frozen=True)
class Slow(Fill):
    """Takes its time, as real work does, and notes which process does it; the network is a file."""

    seconds: float
    network: DigestedFile
    deadly: str = ""

    def compute(self, image):
        time.sleep(self.seconds)
        if image.id == self.deadly:
            os.kill(os.getpid(), signal.SIGKILL)
        (self.root / "processes").mkdir(exist_ok=True)
        (self.root / "processes" / f"{os.getpid()}").touch()
        return super().compute(image)


def slow(root: Path, folder: Path, seconds: float = 0.0) -> Slow:
    """A stage of all images, with what it reads."""
    root.mkdir(exist_ok=True)
    for number, image in enumerate(IMAGES):
        (root / image.photo).write_text("x" * number)
    (root / "network").write_text("weights")
    return Slow(
        folder=folder,
        code="code",
        finished=FinishedWork(folder.with_name(f"{folder.name} store")),
        root=root,
        number=5,
        seconds=seconds,
        network=DigestedFile.of(root / "network"),
    )


@pytest.fixture
def make(tmp_path, monkeypatch):
    """A stage, as a machine with its own copy of the project has it: all paths are relative."""
    monkeypatch.chdir(tmp_path)
    return slow(Path("photographs"), Path("made"))


# ---------------------------------------------------------------- which cluster


def test_processes_need_no_cluster_and_ray_has_one():
    assert Cluster.of(RUNTIME) is None
    ray = RUNTIME.model_copy(update={"engine": "ray", "address": "head:6379", "workers": 3})
    assert Cluster.of(ray) == Cluster("head:6379", 3, gpu=False)
    assert Cluster.of(ray, "cuda") == Cluster("head:6379", 3, gpu=True)
    with pytest.raises(UsageError, match=r"runtime\.device cuda:1 is one machine's"):
        Cluster.of(ray, "cuda:1")


def test_without_ray_the_error_says_how_to_get_it(make, monkeypatch):
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(UsageError, match=r"pip install 'wsgcn\[ray\]'"):
        run(make, IMAGES, cluster=Cluster("auto", 0, gpu=False))


@pytest.mark.parametrize("address", ["127.0.0.1:{free}", "nowhere", "127.0.0.1:many", "127.0.0.1:99999"])
def test_a_cluster_that_is_not_there_is_one_line_at_once(make, monkeypatch, address):
    monkeypatch.setitem(sys.modules, "ray", object())
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = address.format(free=free.getsockname()[1])
        start = time.monotonic()
        with pytest.raises(UsageError, match=f"no Ray cluster answers at runtime.address {address} .*ray start --head"):
            run(make, IMAGES, cluster=Cluster(address, 0, gpu=False))
    assert time.monotonic() - start < 60


# ---------------------------------------------------------------- what a machine does


def in_chunk(make, project, images=IMAGES[:2]) -> list[ImageDone]:
    return do_chunk((make, project), [[image] for image in images])


def test_a_machine_that_sees_the_folder_writes_there_and_sends_nothing(make):
    mark = Path("mark")
    mark.touch()
    done = in_chunk(make, Project.here(mark))
    assert [one.file for one in done] == [None, None]
    assert sorted(contents(make.folder)) == ["i00.png", "i01.png"]
    assert [one.received(make, image) for one, image in zip(done, IMAGES)] == [one.outcome for one in done]


@pytest.fixture
def there(make, tmp_path, monkeypatch):
    """What a machine made that has a copy of the project and does not see the one here."""
    copy = tmp_path / "copy"
    shutil.copytree("photographs", copy / "photographs")
    (copy / "photographs" / "i01.txt").write_text("broken")
    monkeypatch.chdir(copy)
    done = in_chunk(make, Project.here(Path("mark")), IMAGES[:3])
    monkeypatch.chdir(tmp_path)
    return done


def test_a_machine_with_a_copy_sends_its_files_and_they_are_kept_here(make, there, tmp_path):
    outcomes = [one.received(make, image) for one, image in zip(there, IMAGES)]
    assert str(outcomes[1]) == "i01.txt is broken"
    assert sorted(contents(make.folder)) == ["i00.png", "i02.png"]
    assert contents(make.folder)["i00.png"] == contents(tmp_path / "copy" / "made")["i00.png"]
    shutil.rmtree(make.folder)
    assert make([IMAGES[0]]) == [outcomes[0]]  # taken from the store, with its seconds
    assert isinstance(outcomes[0], Done)


def test_a_file_made_of_other_inputs_is_not_taken(make, there):
    (make.root / "i00.txt").write_text("changed after the copy was made")
    (make.root / "i02.txt").unlink()
    outcomes = [one.received(make, image) for one, image in zip(there, IMAGES)]
    assert "made it of other files than are here: run `dvc pull` there" in str(outcomes[0])
    assert "i02.txt is missing" in str(outcomes[2])
    assert contents(make.folder) == {}


def test_a_machine_with_an_older_network_a_missing_project_or_another_program_says_so(make, tmp_path, monkeypatch):
    here = Project.here(Path("mark"))
    node._is_here.cache_clear()  # which a process asks once
    (make.root / "network").write_text("older weights")
    with pytest.raises(UsageError, match="has another photographs/network, or none: run `dvc pull` there"):
        in_chunk(make, here)
    with pytest.raises(UsageError, match=r"has no folder .*none: let all machines see it there, or clone"):
        in_chunk(make, replace(here, folder=tmp_path / "none"))
    monkeypatch.setattr(node, "program_digest", lambda: "another")
    with pytest.raises(UsageError, match="has another version of wsgcn"):
        in_chunk(make, here)


# ---------------------------------------------------------------- chunks


class RayError(Exception):
    """Stands for Ray's."""


class RayTaskError(RayError):
    """Stands for what Ray makes of an error in its task."""

    def __init__(self, cause):
        super().__init__(f"Traceback of another machine: {cause}")
        self.cause = cause


class Here:
    """Stands for Ray: 2 cores; work is done where it is asked for, and what was asked for is noted."""

    exceptions = SimpleNamespace(RayError=RayError, RayTaskError=RayTaskError)

    def __init__(self, error=None):
        self.error, self.running, self.most, self.sizes = error, [], 0, []

    def cluster_resources(self):
        return {"CPU": 2.0}

    def nodes(self):
        lost = {"Alive": False, "Resources": {"memory": 9e9}}
        return [{"Alive": True, "Resources": {"memory": memory}} for memory in (1e9, 2e9)] + [lost]

    def put(self, value):
        return value

    def remote(self, work):
        return SimpleNamespace(options=partial(self._options, work))

    def _options(self, work, **wanted):
        self.wanted = wanted
        return SimpleNamespace(remote=partial(self._start, work))

    def _start(self, work, given, chunk):
        self.sizes.append(len(chunk))
        self.running.append(partial(work, given, chunk))
        self.most = max(self.most, len(self.running))
        return self.running[-1]

    def wait(self, refs, **how):
        return [refs[-1]], refs[:-1]

    def get(self, ref):
        self.running.remove(ref)
        if self.error is not None:
            raise self.error
        return ref()


def chunks_of(make, ray, workers=0, memory=0):
    project = Project.here(Path("mark"))
    Path("mark").touch()
    return _Chunks(ray, Cluster("auto", workers, gpu=False), make, project, [[image] for image in IMAGES], memory)


@pytest.mark.parametrize(("workers", "most"), [(0, 4), (1, 1), (3, 3)])
def test_chunks_are_handed_out_a_few_at_a_time(make, workers, most):
    ray = Here()
    outcomes = dict(chunks_of(make, ray, workers).outcomes())
    assert sorted(outcomes) == [image.id for image in IMAGES]
    assert ray.sizes == [3] * 13 + [1]  # 8 for each of 2 cores, at least
    assert ray.most == most
    assert Path("mark").read_text() == ""


@pytest.mark.parametrize(("memory", "wanted"), [(5 * 10**8, 5 * 10**8), (5 * 10**9, 2 * 10**9)])
def test_a_process_takes_a_core_and_its_memory_or_all_that_a_machine_has(make, memory, wanted):
    ray = Here()
    chunks_of(make, ray, memory=memory)
    assert (ray.wanted["num_cpus"], ray.wanted["num_gpus"], ray.wanted["memory"]) == (1, 0, wanted)


@pytest.mark.parametrize(
    ("error", "kind", "message"),
    [
        (RayTaskError(UsageError("x has no folder")), UsageError, "^x has no folder$"),
        (RayTaskError(ModuleNotFoundError("No module named 'wsgcn'")), UsageError, "has no wsgcn: install"),
        (RayTaskError(OSError(28, "No space left on device")), OSError, "No space left on device"),
        (RayTaskError(KeyError("a bug")), RayTaskError, "a bug"),
        (RayError("the node died"), UsageError, r"i\d\d to i\d\d could not be done on any machine \(RayError\)"),
    ],
)
def test_what_ends_a_chunk_ends_the_stage_and_stops_the_others(make, error, kind, message):
    ray = Here(error)
    with pytest.raises(kind, match=message):
        dict(chunks_of(make, ray).outcomes())
    assert Path("mark").read_text() == STOP


def test_a_machine_that_is_to_stop_begins_no_other_image(make):
    mark = Path("mark")
    mark.touch()
    project = Project.here(mark)

    class Stopping(type(make)):
        def __call__(self, images):
            project.stop()
            return super().__call__(images)

    assert len(in_chunk(Stopping(**vars(make)), project)) == 1
    assert in_chunk(make, project) == []


def test_a_mark_that_another_command_removes_stops_nothing(make):
    mark = Path("mark")
    mark.touch()

    class Removing(type(make)):
        def __call__(self, images):
            mark.unlink(missing_ok=True)
            return super().__call__(images)

    assert [one.outcome for one in in_chunk(Removing(**vars(make)), Project.here(mark))] == [Done(ANY), Done(ANY)]


# ---------------------------------------------------------------- a cluster of two machines


SIZE = {"num_cpus": 1, "object_store_memory": 80_000_000}


@pytest.fixture(scope="module")
def first():
    """A cluster of one machine of one core."""
    pytest.importorskip("ray", reason="Ray is not installed: pip install 'wsgcn[ray]'")
    from ray.cluster_utils import Cluster as Machines

    with pytest.MonkeyPatch.context() as patch:
        # Ray gives a machine's processes half a minute to start, which a busy computer may exceed.
        slower = SimpleNamespace(**vars(time) | {"monotonic": lambda: time.monotonic() / 10})
        patch.setattr("ray._private.node.time", slower)
        patience = {"RAY_agent_register_timeout_ms": "300000", "RAY_worker_register_timeout_seconds": "300"}
        for name, value in {**patience, "RAY_USAGE_STATS_ENABLED": "0", "PYTHONPATH": str(ROOT)}.items():
            patch.setenv(name, value)
        machines = Machines(initialize_head=True, head_node_args=SIZE | {"include_dashboard": False})
        yield machines
        machines.shutdown()


@pytest.fixture
def machines(first):
    """A second machine is there, too, unless an earlier test has left one."""
    if not first.worker_nodes:
        first.add_node(**SIZE)
    return first


def cluster_of(machines, workers=0) -> Cluster:
    return Cluster(machines.address, workers, gpu=False)


@pytest.mark.slow
def test_two_machines_make_the_same_files_and_name_what_failed(make, machines, tmp_path):
    alone = replace(make, folder=tmp_path / "alone", finished=FinishedWork(tmp_path / "other"))
    (make.root / "i07.txt").write_text("broken")
    (make.root / "i08.txt").unlink()
    with pytest.raises(StageError) as by_processes:
        run(alone, IMAGES)
    done, ours = [], signal.signal(signal.SIGTERM, signal.SIG_IGN)
    with pytest.raises(StageError) as on_ray:
        run(replace(make, seconds=0.05), IMAGES, cluster=cluster_of(machines), finished=done.append)
    assert signal.signal(signal.SIGTERM, ours) is signal.SIG_IGN
    assert on_ray.value.failures == by_processes.value.failures
    assert str(on_ray.value) == str(by_processes.value)
    assert contents(make.folder) == contents(alone.folder)
    assert sorted(done) == [image.id for image in IMAGES if image.id not in ("i07", "i08")]
    assert len(list((make.root / "processes").iterdir())) >= 3  # the test's own, and one on each machine


@pytest.mark.slow
def test_what_kills_every_process_that_does_it_is_one_line(make, machines):
    with pytest.raises(UsageError, match=r"i\d\d to i\d\d could not be done on any machine .*what is done stays done"):
        run(replace(make, deadly="i05"), IMAGES, cluster=cluster_of(machines))


@pytest.mark.slow
def test_an_interrupt_leaves_nothing_half_and_the_next_run_goes_on(make, machines):
    def interrupt(image_id):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(replace(make, seconds=0.1), IMAGES, cluster=cluster_of(machines), finished=interrupt)
    made = contents(make.folder)
    assert 1 <= len(made) < len(IMAGES)
    assert not [name for name in made if name.endswith(".part")]
    run(make, IMAGES, cluster=cluster_of(machines, workers=1))
    assert len(contents(make.folder)) == len(IMAGES)


@pytest.mark.slow
def test_the_work_of_a_machine_that_is_lost_is_done_again(make, machines, tmp_path):
    alone = replace(make, folder=tmp_path / "alone", finished=FinishedWork(tmp_path / "other"))
    run(alone, IMAGES)
    lost = []

    def lose_one(image_id):
        if not lost:
            machines.remove_node(next(iter(machines.worker_nodes)), allow_graceful=False)
            lost.append(image_id)

    run(replace(make, seconds=0.3), IMAGES, cluster=cluster_of(machines), finished=lose_one)
    assert lost
    assert contents(make.folder) == contents(alone.folder)


@pytest.mark.slow
def test_every_stage_makes_the_same_files_also_where_a_machine_is_lost(machines, tiny_params, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    by_processes, on_ray = Artifacts(tmp_path / "by_processes"), Artifacts(tmp_path / "on_ray")
    chain.run_stages(chain.UP_TO_CRF, tiny_params, by_processes, "WSGCN-I")
    ray = {"runtime.engine": "ray", "runtime.address": machines.address, "runtime.store": str(tmp_path / "another")}
    propagated = on_ray.folder("propagate", "WSGCN-I")

    def lose_one():
        while not list(propagated.glob("*.npz")):
            time.sleep(0.01)
        machines.remove_node(next(iter(machines.worker_nodes)), allow_graceful=False)

    losing = threading.Thread(target=lose_one, daemon=True)
    losing.start()
    chain.run_stages(chain.UP_TO_CRF, changed(tiny_params, ray), on_ray, "WSGCN-I")
    losing.join(60)
    assert not machines.worker_nodes
    for stage, name in (("cams", "I"), ("affinity", "I"), ("propagate", "WSGCN-I"), ("crf", "WSGCN-I")):
        assert contents(on_ray.folder(stage, name)) == contents(by_processes.folder(stage, name))
        assert len(contents(on_ray.folder(stage, name))) == 6
    assert on_ray.losses("WSGCN-I").read_bytes() == by_processes.losses("WSGCN-I").read_bytes()
