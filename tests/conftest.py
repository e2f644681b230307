"""Fixtures that several folders share: devices, reference data, image builders."""

import gc
import importlib.util
import json
import os
import tempfile
from collections import Counter
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from pathlib import Path
from pkgutil import walk_packages
from typing import Any

import pytest
from coverage import Coverage
from hypothesis import HealthCheck, settings
from xdist.scheduler import LoadScopeScheduling  # type: ignore[import-untyped]

import softaxe

DATA = Path(__file__).parent / "data"

# How long an example takes says more about the machine than about the code; where it
# matters, as with what must not run away, a test has a deadline of its own.
settings.register_profile(
    "softaxe", deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("softaxe")

# All are asked by plain HTTP, here. Each of hundreds of clients would look for a proxy,
# and read the certificates of the world, which takes thirty times as long as to ask.
os.environ |= {"NO_PROXY": "*", "SSL_CERT_FILE": "", "SSL_CERT_DIR": str(DATA)}

# Hundreds of devices write down what they are told, and wait for the disk each time.
MEMORY, WANTED_BYTES = Path("/dev/shm"), 1 << 30
if MEMORY.is_dir() and "TMPDIR" not in os.environ:
    room = os.statvfs(MEMORY)
    is_large = room.f_bavail * room.f_frsize > WANTED_BYTES
    if is_large and not room.f_flag & os.ST_NOEXEC:  # programs are built there, too
        os.environ["TMPDIR"] = str(MEMORY)
        tempfile.tempdir = None  # pytest has asked for it before

UNWATCHED = {"fuzz", "scenarios", "ui"}
"""Folders of tests that live through hours or try thousands of inputs, which a watch
over each line makes days.

What they run has its own tests, one file for each module, and those are watched.
"""
SLOWEST = "tests/fleet/parts/test_cluster.py"
"""Machines start, die and start again there, one after the other, for a minute."""
TOGETHER = (
    (
        "tests/ui/test_fleet",
        "tests/ui/test_other_devices.py",
        "tests/ui/test_problems.py",
    ),
    ("tests/ui/",),
)
"""Beginnings of names: they have a Chromium together, which costs a second to start.

They wait as often as they work; two such chains, as long as each other, leave two
processes for tests that only work.
"""
BY_THE_FILE = (
    "tests/bitcoin/test_kernel.py",
    "tests/cli/test_device.py",
    "tests/client/test_axeos.py",
    "tests/control/",
    SLOWEST,
    "tests/fleet/parts/test_processes.py",
    "tests/fleet/test_miners.py",
    "tests/scenarios/test_versions.py",
    "tests/serve/test_axeos_calls.py",
    "tests/serve/test_http_faults.py",
    "tests/test_architecture.py",
    "tests/test_deploy.py",
    "tests/warp/",
)
FIRST = (
    "tests/serve/test_third_parties.py",
    "tests/test_examples.py",
    "tests/test_tuner.py",
    "tests/testing/",
)
"""One such test alone takes ten seconds, which the others should not wait for."""


def dealt_as(nodeid: str) -> str:
    """Return what all tests have in common that one process runs together."""
    for beginnings in TOGETHER:
        if nodeid.startswith(beginnings):
            return beginnings[0]
    file, _, _ = nodeid.partition("::")
    return file if file.startswith(BY_THE_FILE) else nodeid.partition("[")[0]


class Dealing(LoadScopeScheduling):  # type: ignore[misc]
    """Deals tests to the processes, each with all its cases, but some by the file.

    Their tests share what is dear: a thousand devices, a fleet in processes, an
    emulator's program, all modules parsed.
    """

    def _split_scope(self, nodeid: str) -> str:
        return dealt_as(nodeid)


def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Dealing:
    """Deal the tests so."""
    return Dealing(config, log)


@contextmanager
def unwatched() -> Iterator[None]:
    """Count no coverage meanwhile."""
    stopped = []
    while (coverage := Coverage.current()) is not None:  # beside xdist it has two
        coverage.stop()
        stopped.append(coverage)
    try:
        yield
    finally:
        for coverage in reversed(stopped):
            coverage.start()


NOT_HERE = ("__main__", ".cluster", "._follow")
"""Modules that run, need Ray, or are no Python's but other programs'."""


@pytest.hookimpl(wrapper=True)
def pytest_collection(session: pytest.Session) -> Generator[None, object, object]:
    """Watch how softaxe is imported, but not how thousands of tests come to be.

    Nor look for garbage meanwhile: they stay. Of several processes, one watches.
    """
    gc.disable()
    worker = os.environ.get("PYTEST_XDIST_WORKER", "gw0")
    deals = session.config.pluginmanager.has_plugin("dsession")
    if Coverage.current() and worker == "gw0" and not deals:
        for module in walk_packages(softaxe.__path__, "softaxe."):
            if not module.name.endswith(NOT_HERE):
                importlib.import_module(module.name)
    with unwatched():
        return (yield)


def pytest_collection_finish() -> None:
    """Leave them out whenever garbage is looked for, and look as rarely as a fleet."""
    gc.freeze()
    gc.set_threshold(50_000, 10, 10)
    gc.enable()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with what takes long, and go on with what has the most cases."""
    cases = Counter(dealt_as(item.nodeid) for item in items)

    def place(item: pytest.Item) -> tuple[bool, bool, int]:
        name = item.nodeid
        is_late = not name.startswith(("tests/ui/", *BY_THE_FILE, *FIRST))
        return not name.startswith(SLOWEST), is_late, -cases[dealt_as(name)]

    items.sort(key=place)


@pytest.hookimpl(wrapper=True, trylast=True)
def pytest_runtestloop(session: pytest.Session) -> Generator[None, object, object]:
    """Count no coverage of the process that only deals the tests to others."""
    if not session.config.pluginmanager.has_plugin("dsession"):
        return (yield)
    with unwatched():
        return (yield)


def pytest_xdist_auto_num_workers() -> int:
    """Twice the cores: a test often waits for a browser or a second.

    One more would take as long to import and collect all tests as it would save.
    """
    return 2 * (os.cpu_count() or 1)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Generator[None, object, object]:
    """Count no coverage of what is unwatched: by folder, by mark, or by Hypothesis.

    To invent its inputs takes twenty times as long under a watch.
    """
    is_long = item.path.parent.name in UNWATCHED
    is_property = getattr(getattr(item, "obj", None), "is_hypothesis_test", False)
    if not (is_long or is_property or item.get_closest_marker("unwatched")):
        return (yield)
    with unwatched():
        return (yield)


@pytest.fixture(scope="session")
def captures() -> dict[str, Any]:
    """Frames of real chips, each with its source."""
    loaded: dict[str, Any] = json.loads(
        (DATA / "chip-captures.json").read_text(encoding="utf-8")
    )
    return loaded


@pytest.fixture(scope="session")
def vectors() -> dict[str, Any]:
    """The reference's Stratum, job and chip vectors."""
    loaded: dict[str, Any] = json.loads(
        (DATA / "stratum-vectors.json").read_text(encoding="utf-8")
    )
    return loaded


@pytest.fixture(scope="session")
def boards_reference() -> dict[str, Any]:
    """The reference's boards, settings and control vectors."""
    loaded: dict[str, Any] = json.loads(
        (DATA / "boards.json").read_text(encoding="utf-8")
    )
    return loaded


def _module(name: str) -> Any:
    """A file beside the tests, by its path below this folder."""
    path = Path(__file__).parent / f"{name}.py"
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="session")
def builders() -> Any:
    """Independent builders of firmware and www images."""
    return _module("flash/builders")


@pytest.fixture(scope="session")
def run_device() -> Any:
    """The context manager that runs a device on a free port."""
    return _module("running").running


@pytest.fixture(scope="session")
def free_ports() -> Callable[..., int]:
    """Find ports that no other test takes meanwhile."""
    found: Callable[..., int] = _module("running").free_ports
    return found


@pytest.fixture
def bitaxe(run_device: Any, tmp_path: Path) -> Iterator[Any]:
    """A fresh device in the documented profile, as fast as it goes."""
    with run_device(tmp_path, speed=20.0) as device:
        yield device


@pytest.fixture(scope="session")
def make_app_image(builders: Any) -> Callable[..., bytes]:
    """Build an ESP32-S3 application image."""
    build: Callable[..., bytes] = builders.app_image
    return build


@pytest.fixture(scope="session")
def make_www_image(builders: Any) -> Callable[..., bytes]:
    """Build a SPIFFS image of the www partition."""
    build: Callable[..., bytes] = builders.spiffs_image
    return build
