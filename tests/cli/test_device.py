import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.each import each
from typer.testing import CliRunner, Result

from softaxe.cli import device as command
from softaxe.cli.commands import app
from softaxe.client.axeos import AsyncAxeOS, AxeOS
from softaxe.flash.image import release_bytes


@pytest.fixture(scope="module")
def axe(run_device: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    folder = tmp_path_factory.mktemp("device")
    with run_device(folder, firmware=("2.14.1",), speed=20.0) as device:
        yield device


def run(*arguments: str) -> Result:
    return CliRunner().invoke(app, ["device", *arguments])


def test_a_device_is_read_and_set(axe: Any) -> None:
    info = run(axe.url, "info")
    told = json.loads(run(axe.url, "info", "--json").stdout)
    done = run(axe.url, "set", "frequency=500", "hostname=axe", "--json")
    shown = run(axe.url, "set", "coreVoltage=1150")

    assert info.exit_code == 0, info.output
    assert "BM1370" in info.stdout
    assert told["version"] == axe.client.get("/api/system/info").json()["version"]
    assert [(one["told"], one["is_kept"]) for one in json.loads(done.stdout)] == [
        (500, True),
        ("axe", True),
    ]
    assert "kept" in shown.stdout


def test_pools_and_logs_are_printed(axe: Any) -> None:
    (primary, _) = json.loads(run(axe.url, "pools", "--json").stdout)
    shown, logs = run(axe.url, "pools"), run(axe.url, "logs")

    assert str(primary["stratumPort"]) in shown.stdout
    assert logs.exit_code == 0
    assert " (" in logs.stdout
    assert "x1b" not in logs.stdout


@each(
    ("arguments", "status", "says"),
    [
        (("set", "frequncy=500"), 2, "frequency is one"),
        (("set", "frequency"), 2, "write name=value"),
        (("set", "coreVoltage=99999"), 2, "outside 1..65535 mV"),
        (("ota", "nowhere.bin"), 2, "nowhere.bin"),
    ],
)
def test_what_is_asked_wrongly_is_refused(
    axe: Any, arguments: tuple[str, ...], status: int, says: str
) -> None:
    done = run(axe.url, *arguments)

    assert done.exit_code == status
    assert says in done.stderr


def test_nobody_there_has_a_status_of_its_own(free_ports: Any) -> None:
    done = run(f"127.0.0.1:{free_ports()}", "info")

    assert (done.exit_code, done.stdout) == (3, "")


def test_a_setting_that_is_not_kept_has_one_too(
    axe: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def lose(*_: object, **__: object) -> None:
        pass

    monkeypatch.setattr(AsyncAxeOS, "_send", lose)
    done = run(axe.url, "set", "temptarget=44")

    assert done.exit_code == 1
    assert "not kept" in done.stdout


def test_the_log_is_followed_until_somebody_has_enough(
    axe: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def some(_: AxeOS) -> Iterator[str]:
        yield "\x1b[0;32mI (5) main: one\x1b[0m"
        raise KeyboardInterrupt

    monkeypatch.setattr(AxeOS, "log", some)
    done = run(axe.url, "logs", "--follow")

    assert (done.exit_code, done.stdout) == (0, "I (5) main: one\n")


def test_an_image_is_written(axe: Any, tmp_path: Path) -> None:
    path = tmp_path / "esp-miner.bin"
    path.write_bytes(release_bytes("2.14.2"))
    done = run(axe.url, "ota", str(path))

    assert (done.exit_code, done.stdout) == (0, "v2.14.1 -> v2.14.2\n")


def test_devices_are_looked_for(axe: Any, free_ports: Any) -> None:
    port = str(axe.member.port)
    found = run("scan", "127.0.0.1", "--port", port)
    (one,) = json.loads(run("scan", "127.0.0.1", "--port", port, "--json").stdout)
    nobody = run("scan", "127.0.0.1", "--port", str(free_ports()))

    assert axe.url in found.stdout
    assert (one["url"], one["ASICModel"]) == (axe.url, "BM1370")
    assert (nobody.exit_code, nobody.stdout) == (1, "")


def test_readings_are_watched(axe: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    seen = list[Any]()
    live = AsyncAxeOS.live

    async def twice(self: AsyncAxeOS) -> Any:
        updates = live(self)
        async for info in updates:
            seen.append(info)
            yield info
            if len(seen) == 2:
                break
        await updates.aclose()

    monkeypatch.setattr(AsyncAxeOS, "live", twice)
    done = run(axe.url, "watch")

    assert done.exit_code == 0, done.output
    assert "hash rate" in done.stdout
    assert seen[0].hostname in done.stdout
    assert command.READINGS[0][1] in type(seen[0]).__struct_fields__
