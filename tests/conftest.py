"""Fixtures that several folders share: devices, reference data, image builders."""

import importlib.util
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings

DATA = Path(__file__).parent / "data"

# How long an example takes says more about the machine than about the code; where it
# matters, as with what must not run away, a test has a deadline of its own.
settings.register_profile(
    "softaxe", deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("softaxe")


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
