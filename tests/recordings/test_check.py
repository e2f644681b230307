import gc
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, ClassVar

import pytest
from tests.each import each
from typer.testing import CliRunner

from softaxe.cli.commands import app
from softaxe.client.axeos import AxeOS
from softaxe.device.profile import DOCUMENTED, FIRMWARE, Profile
from softaxe.errors import BadResponse, DeviceUnreachable, SettingError
from softaxe.recordings.check import Finding, check
from softaxe.testing.run import RunningFleet


class Mock(BaseHTTPRequestHandler):
    """The kind of mock that answers one route with invented numbers."""

    info: ClassVar[dict[str, object]] = {"hashRate": "1070", "power": 18.5, "more": 1}

    def do_GET(self) -> None:
        body = json.dumps(self.info).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        pass


@contextmanager
def serving(handler: type[BaseHTTPRequestHandler]) -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def differing(findings: list[Finding]) -> list[Finding]:
    return [finding for finding in findings if not finding.is_fine]


def test_softaxe_keeps_its_own_promises(bitaxe: Any) -> None:
    findings = list(check(AxeOS(bitaxe.url), profile=DOCUMENTED, may_change=True))

    assert len(findings) > 120
    assert differing(findings) == []


@pytest.mark.parametrize("profile", [DOCUMENTED, FIRMWARE], ids=["page", "genuine"])
def test_each_release_is_what_its_release_is(
    releases: RunningFleet, profile: Profile
) -> None:
    half = len(releases) // 2
    devices = list(releases)[half:] if profile is FIRMWARE else list(releases)[:half]

    for device in devices:
        findings = list(check(AxeOS(device.url), profile=profile, may_change=True))

        assert len(findings) > 90
        assert differing(findings) == [], device.info()["version"]
    assert len(devices) > 8


def test_a_release_is_not_taken_for_another(releases: RunningFleet) -> None:
    newest = releases[len(releases) // 2 - 1].info()

    class Older(Mock):
        info: ClassVar = {**newest, "version": "v2.12.2"}

    with serving(Older) as url:
        found = {each.what: each for each in differing(list(check(AxeOS(url))))}

    assert found["info: miningPaused"].expected == "not there"
    assert found["info: poolAddrFamily"].got == "missing"
    assert "info: hashRate" not in found


def test_an_unknown_version_is_judged_by_the_nearest() -> None:
    class Newer(Mock):
        info: ClassVar = {"version": "v2.15.3"}

    with serving(Newer) as url:
        (first, *_) = check(AxeOS(url))

    assert first == Finding("firmware", "a known one; judged as v2.15.0", "v2.15.3")


def test_checking_changes_nothing_unless_told(bitaxe: Any) -> None:
    before = bitaxe.info()
    list(check(AxeOS(bitaxe.url)))
    after = bitaxe.info()

    settings = ("temptarget", "minFanSpeed", "hostname", "frequency", "coreVoltage")
    assert [after[name] for name in settings] == [before[name] for name in settings]


class Yes(BaseHTTPRequestHandler):
    """A mock that takes whatever it is sent."""

    held: ClassVar[dict[str, object]] = {}
    log: ClassVar[list[object]] = []

    def do_GET(self) -> None:
        self.answer(self.held)

    def do_OPTIONS(self) -> None:
        self.answer({})

    def do_POST(self) -> None:
        self.log.append(self.path)
        self.answer({})

    def do_DELETE(self) -> None:
        if self.path == "/api/system/info":
            self.held.clear()
        self.answer({})

    def do_PATCH(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        try:
            changes = json.loads(body)
        except ValueError:
            changes = {}
        self.log.extend(changes.values())
        self.held.update(changes)
        self.answer({})

    def answer(self, members: dict[str, object]) -> None:
        body = json.dumps(members).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        pass


def test_who_takes_everything_is_given_nothing_to_take() -> None:
    Yes.held = {"temptarget": 61, "hostname": "mine", "minFanSpeed": 25}
    Yes.log = []
    with serving(Yes) as url:
        found = {each.what: each for each in differing(list(check(AxeOS(url))))}

    assert Yes.held == {"temptarget": 61, "hostname": "mine", "minFanSpeed": 25}
    assert Yes.log == []
    assert found["PATCH no JSON: status"].got == "200"


def test_who_takes_everything_is_given_no_harm_and_its_own_back() -> None:
    Yes.held = {"temptarget": 61, "hostname": "mine", "minFanSpeed": 25}
    Yes.log = []
    with serving(Yes) as url:
        findings = differing(list(check(AxeOS(url), may_change=True)))
        found = {each.what: each for each in findings}

    assert Yes.held == {"temptarget": 61, "hostname": "mine", "minFanSpeed": 25}
    assert set(Yes.log) == {"/api/system/identify", "61", -1, 35, 61}
    assert found["PATCH out of range: status"].got == "200"
    assert found["PATCH out of range: read back"] == Finding(
        "PATCH out of range: read back", "61", "-1"
    )


def test_what_was_there_is_put_back_when_the_check_ends_early() -> None:
    Yes.held = {"temptarget": 61}
    with serving(Yes) as url:
        for finding in check(AxeOS(url), may_change=True):
            if finding.what == "PATCH out of range: status":
                break
        gc.collect()

    assert Yes.held == {"temptarget": 61}


def test_the_firmware_profile_keeps_the_firmware_s(
    tmp_path: Path, run_device: Any
) -> None:
    with run_device(tmp_path, profile=FIRMWARE) as device:
        # The firmware does not let a loopback client in.
        found = differing(list(check(AxeOS(device.url), profile=FIRMWARE)))
        assert Finding("info: status", "200", "401") in found


def test_a_mock_is_told_what_it_lacks() -> None:
    with serving(Mock) as url:
        found = {each.what: each for each in differing(list(check(AxeOS(url))))}

    assert found["info: hashRate"] == Finding("info: hashRate", "number", '"1070"')
    assert found["info: temp"].got == "missing"
    assert found["info: more"].expected == "not there"
    assert "info: power" not in found
    assert found["GET /api/nothing: status"].got == "200"
    assert found["PATCH no JSON: status"].got == "501"


def test_the_command_tells_differences_and_exits_with_one() -> None:
    with serving(Mock) as url:
        result = CliRunner().invoke(app, ["check", url])

    assert result.exit_code == 1
    assert "info: temp" in result.output
    assert "differ" in result.output


class Bracketed(Mock):
    """Says what looks like markup."""

    info: ClassVar[dict[str, object]] = {"more": "[/x]", "[b]odd": [None]}


def told_of(mock: type[Mock]) -> str:
    """What the command says of something that differs, on one line."""
    with serving(mock) as url:
        shown = CliRunner(env={"COLUMNS": "200"}).invoke(app, ["check", url])
    assert (shown.exit_code, type(shown.exception)) == (1, SystemExit)
    return " ".join(shown.output.split())


class Versioned(Mock):
    info: ClassVar[dict[str, object]] = {"version": "v2.13.1"}


def test_it_is_said_by_which_version_a_device_is_judged() -> None:
    assert "firmware v2.13.1: " in told_of(Versioned)
    assert "firmware" not in told_of(Bracketed).rpartition("┘")[2]


class Escaping(Mock):
    info: ClassVar[dict[str, object]] = {
        "\x1b]52;c;cm0=\x07\u202e": "\x9b2J",
        **{f"more{number}": 1 for number in range(1000)},
    }


def test_a_terminal_is_told_nothing_by_a_device() -> None:
    output = told_of(Escaping)

    assert "\x1b" not in output
    assert "\x9b" not in output
    assert "\u202e" not in output
    assert r"\x1b]52;c" in output


def test_members_without_end_are_counted() -> None:
    with serving(Escaping) as url:
        found = [f for f in check(AxeOS(url)) if f.what.startswith("info: more")]

    assert len(found) == 50
    assert found[-1] == Finding("info: more members", "not there", "951")


def test_brackets_are_shown_as_they_came() -> None:
    found = told_of(Bracketed)

    assert 'info: more │ not there │ "[/x]"' in found
    assert "info: [b]odd │ not there │ [null]" in found


@each("url", ["https://10.0.0.5", "http://", "http://x:99999"])
def test_an_address_that_is_none_is_refused(url: str) -> None:
    with pytest.raises(SettingError):
        AxeOS(url)


class Half(Mock):
    """Answers with rows that are none, and not at all where it is asked for a theme."""

    info: ClassVar[dict[str, object]] = {"labels": [], "statistics": [None]}

    def do_GET(self) -> None:
        if self.path == "/api/theme":
            self.close_connection = True
            return
        super().do_GET()


def test_one_bad_answer_does_not_hide_the_others() -> None:
    found = told_of(Half)

    assert "statistics: columns in a row │ 3 │ no list" in found
    assert "theme: status │ 200 │ 0" in found
    assert "looked at" in found


class Garbage(Mock):
    """Says JSON, and is none."""

    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Length", "3")
        self.end_headers()
        self.wfile.write(b"{no")


def test_answers_that_are_none_have_a_name() -> None:
    with pytest.raises(DeviceUnreachable):
        AxeOS("127.0.0.1:1").get_json("/")
    with serving(Garbage) as url, pytest.raises(BadResponse, match="no JSON"):
        AxeOS(url).get_json("/")


def test_numbers_beyond_all_bounds_are_told_not_reckoned_with() -> None:
    class Endless(Mock):
        ANSWERS: ClassVar = {
            "/api/system/info": b'{"frequency": 1e999, "smallCoreCount": %s, '
            b'"expectedHashrate": NaN, "power": "x"}' % (b"9" * 400),
            "/api/system/asic": b'{"asicCount": "many"}',
        }

        def do_GET(self) -> None:
            body = self.ANSWERS.get(self.path, b"{}")
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

    with serving(Endless) as url:
        found = {finding.what: finding for finding in check(AxeOS(url))}

    assert found["info: power"].got == '"x"'
    assert "info: expectedHashrate" in found
