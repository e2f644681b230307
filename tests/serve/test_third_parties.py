"""Programs of others, unmodified, against a running device."""

import json
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.running import until

from softaxe.catalog.firmware import families, firmware
from softaxe.fleet.certificates import make
from softaxe.testing.options import GroupOptions
from softaxe.testing.run import RunningFleet, running

PYASIC = """
import asyncio, json, sys
import pyasic
from pyasic.config import FanModeConfig

async def main():
    found = []
    for address in sys.argv[1:]:
        miner = await pyasic.get_miner(address)
        data, config = await miner.get_data(), await miner.get_config()
        told = {"data": data.as_dict(), "config": config.as_dict()}
        found.append({"type": type(miner).__name__, **told})
    miner = await pyasic.get_miner(sys.argv[1])
    config = await miner.get_config()
    config.fan_mode = FanModeConfig.manual(speed=70)
    await miner.send_config(config)
    sys.stdout.write(json.dumps(found, default=str))

asyncio.run(main())
"""
RELEASES = ["2.12.2", *(firmware(f).version for f in families() if f != "2.12.2")]


@pytest.fixture
def on_port_80() -> Iterator[RunningFleet]:
    """Devices from 127.0.0.2:80 on, where scanners look: one of each release."""
    fleet = running(
        count=len(RELEASES),
        firmware=RELEASES,
        host="127.0.0.2",
        port=80,
        speed=0,
        warm_up_s=30,
    )
    try:
        with fleet:
            yield fleet
    except OSError as error:
        pytest.skip(f"127.0.0.2:80 may not be bound here: {error}")


@pytest.mark.unwatched
def test_pyasic_finds_and_reads_every_release_and_sets_one(
    on_port_80: RunningFleet,
) -> None:
    """What it fails at, it fails at on a device, too.

    `send_config` raises `APIError` on every version, as an accepted PATCH is answered
    with nothing, and `reboot` up to 2.12, as that is no JSON: so they do here by
    profile firmware. Pools that it writes have no effect on 2.15, and a manual fan
    speed that is no whole number cannot be read.
    """
    devices = list(on_port_80)
    infos = [device.info() for device in devices]
    addresses = [device.url.removeprefix("http://").split(":")[0] for device in devices]

    result = subprocess.run(
        [sys.executable, "-c", PYASIC, *addresses],
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )

    assert result.returncode == 0, result.stderr
    for found, release, info in zip(
        json.loads(result.stdout), RELEASES, infos, strict=True
    ):
        data = found["data"]
        assert found["type"] == "BitAxeGamma"
        assert data["fw_ver"] == f"v{release}"
        assert data["mac"] == info["macAddr"]
        assert data["hostname"] == info["hostname"]
        assert data["errors"] == []
        assert data["is_mining"] is True
        ths = info["hashRate"] / 1000
        assert data["hashrate"]["rate"] == pytest.approx(ths, rel=0.01)
        assert data["expected_hashrate"]["rate"] == pytest.approx(1.071, rel=0.01)
        assert data["wattage"] == round(info["power"])
        assert data["fans"][0]["speed"] == info["fanrpm"] > 0
        (board,) = data["hashboards"]
        assert board["chips"] == 1
        assert board["chip_temp"] == pytest.approx(info["temp"], abs=0.5)
        (pool,) = found["config"]["pools"]["groups"][0]["pools"][:1]
        target = f"{info['stratumURL']}:{info['stratumPort']}"
        assert pool["url"] == f"stratum+tcp://{target}"
        assert pool["user"] == info["stratumUser"]
    changed = devices[0].info()
    assert (changed["manualFanSpeed"], changed["autofanspeed"]) == (70, 0)


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


STUNNEL = shutil.which("stunnel4") or shutil.which("stunnel")


@pytest.mark.unwatched
@pytest.mark.skipif(STUNNEL is None, reason="apt-get install stunnel4")
def test_stunnel_before_a_plain_pool(
    tmp_path: Path, free_ports: Callable[..., int]
) -> None:
    port, file = free_ports(), tmp_path / "both.pem"
    own = make(["localhost", "127.0.0.1"], seed=1)
    file.write_text(own.key_pem + own.pem, encoding="ascii")
    by_tls: GroupOptions = {
        "count": 2,
        "firmware": ["2.13.2", "2.15.0"],
        "pool": f"stratum+ssl://localhost:{port}",
        "work": "scaled",
        "settings": {"stratumTLS": 2, "stratumCert": own.pem},
    }
    groups: list[GroupOptions] = [
        {"name": "plain"},
        {**by_tls, "name": "documented"},
        {**by_tls, "name": "firmware", "profile": "firmware"},
    ]
    with running(groups=groups, speed=60.0) as fleet:
        _, pool_port = fleet.pool.address
        lines = ["foreground = yes", "pid =", "[pool]", f"cert = {file}"]
        lines += (f"accept = 127.0.0.1:{port}", f"connect = 127.0.0.1:{pool_port}")
        (tmp_path / "conf").write_text("\n".join(lines), encoding="ascii")
        program = [str(STUNNEL), str(tmp_path / "conf")]
        with subprocess.Popen(program, stderr=subprocess.PIPE) as stunnel:
            try:
                until(lambda: min(i["sharesAccepted"] for i in told(fleet)) > 3)
            finally:
                stunnel.terminate()
                stunnel.communicate()
        infos = told(fleet)[1:]

    assert {info["poolConnectionInfo"] for info in infos} == {"IPv4 (TLS Cert)"}
    assert [info["sharesRejected"] for info in infos] == [0] * 4


def told(fleet: RunningFleet) -> list[dict[str, Any]]:
    return [device.info() for device in fleet]
