"""Devices that the tests of several modules of the room ask."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from softaxe.device.profile import FIRMWARE


@pytest.fixture
def old_firmware(run_device: Any, tmp_path: Path) -> Iterator[Any]:
    """A device in the firmware profile, with a private client address."""
    with run_device(tmp_path, profile=FIRMWARE) as device:
        device.member.device.radio.is_ap_enabled = True  # lets every client in
        yield device
