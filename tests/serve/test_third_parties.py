"""Programs of others, unmodified, against a running device."""

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from softaxe.serve.member import Member

PYASIC = """
import asyncio, json, sys
import pyasic
from pyasic.config import FanModeConfig

async def main():
    miner = await pyasic.get_miner("127.0.0.2")
    data = await miner.get_data()
    config = await miner.get_config()
    config.fan_mode = FanModeConfig.manual(speed=70)
    await miner.send_config(config)
    found = {"type": type(miner).__name__, "data": data.as_dict()}
    sys.stdout.write(json.dumps(found, default=str))

asyncio.run(main())
"""


@pytest.fixture
def on_port_80(
    run_device: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Any]:
    """A device at 127.0.0.2:80, where scanners look."""
    try:
        with run_device(tmp_path, host="127.0.0.2", port=80, speed=30.0) as device:
            yield device
    except OSError as error:
        pytest.skip(f"127.0.0.2:80 may not be bound here: {error}")


def test_pyasic_finds_reads_and_sets_a_device(on_port_80: Any) -> None:
    member: Member = on_port_80.member
    while member.device.hashrate.current_hs == 0:
        pass  # the device's own thread brings it up

    result = subprocess.run(
        [sys.executable, "-c", PYASIC],
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )

    assert result.returncode == 0, result.stderr
    found = json.loads(result.stdout)
    data = found["data"]
    assert found["type"] == "BitAxeGamma"
    assert data["mac"] == member.device.identity.mac_text
    assert data["hostname"] == "bitaxe-f369"
    assert data["fw_ver"] == "v2.12.2"
    assert data["errors"] == []
    assert data["is_mining"] is True
    assert data["fans"][0]["speed"] > 0
    assert data["hashboards"][0]["chips"] == 1
    assert member.device.settings.fan_manual_percent == 70
    assert member.device.settings.is_fan_automatic is False


def test_schemathesis_finds_no_answer_that_is_not_documented(
    run_device: Any, tmp_path: Path
) -> None:
    checks = (
        "status_code_conformance,content_type_conformance,response_schema_conformance"
    )
    with run_device(tmp_path) as device:
        result = subprocess.run(
            [
                *(sys.executable, "-m", "schemathesis.cli", "run"),
                f"{device.url}/openapi.json",
                *("--checks", checks, "--max-examples", "20", "--seed", "1"),
                *("--phases", "examples,fuzzing"),
                # Leaves no one to ask; its answer is tested elsewhere.
                *("--exclude-path", "/api/system/restart"),
            ],
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )

    assert result.returncode == 0, result.stdout
