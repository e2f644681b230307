"""Files that people write: fleets, networks, scenarios and recordings."""

import os
import tempfile
from collections.abc import Mapping
from contextlib import suppress
from importlib.resources import files
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

from softaxe.control.scenario_run import Outcome, Report, junit
from softaxe.errors import SettingError
from softaxe.fleet.groups import read_groups, read_toml
from softaxe.fleet.networks import read_networks
from softaxe.recordings.record import KIND
from softaxe.recordings.replay import Replay, load_recording
from softaxe.scenario import Scenario, read_scenario

CORPUS = [
    b'[[group]]\nname = "a"\ncount = 4\nboard = ["601", "gamma"]\n'
    b'pool = "stratum+tcp://pool.example:3333"\nambient = 31.5\nwork = "real"\n'
    b"[group.settings]\nfrequency = 490\n[group.spread]\nambient = 2.5\n",
    b'[[network]]\nssid = "HomeNET"\npassword = "correct horse"\nrssi_dbm = -52\n'
    b'authmode = "wpa2/wpa3"\ndhcp = false\n',
    *[path.read_bytes() for path in files("softaxe").joinpath("scenarios").iterdir()],
    b'[[step]]\nat = "1m"\ncommand = ["python", "a b.py"]\nwithin = "1h"\n'
    b"exit_status = 3\nbackground = true\n"
    b'[[step]]\ndevice = "601-*"\n'
    b'requested = {method = "PATCH", path = "/api/system*", at_least = 1, '
    b'within = "5m", body = {"pools.0.stratumURL" = {contains = "x"}, '
    b'frequency = 500.5}, after = {path = "*restart"}}\n'
    b'[[step]]\nexpect = {field = "pools.0.id", equals = [1], within = "90s"}\n'
    b'[[step]]\nexpect = {field = "a.b", unchanged = true, for = "1d"}\n'
    b'[[step]]\nrequest = {method = "PUT", path = "/", json = {a = 1}, status = 0}\n'
    b'[[step]]\nfault = {id = "x", effect = "bend", null = ["temp"]}\n',
    f'{{"{KIND}": 1, "interval_s": 5, "port": 80}}\n'.encode()
    + b'{"at": 0, "path": "/api/system/info", "status": 200, "headers": '
    b'{"content-type": "application/json"}, "body": "{\\"boardVersion\\":\\"601\\"}"}\n'
    b'{"at": 1.5, "log": "I (12) main: hello"}\n'
    b'{"at": 9.5, "path": "/api/system/info", "away": true}\n',
    f'{{"{KIND}": 1}}\n'.encode()
    + b'{"at": 1e999, "path": "/", "status": 200, "headers": {}, "body": ""}\n',
    f'{{"{KIND}": 1}}\n'.encode()
    + b'{"at": NaN, "path": "/", "status": 1e999, "headers": {}, "body": ""}\n',
    b"seed = 0x" + b"f" * 5000 + b"\n[[group]]\n",
    b"[[group]]\n[group.settings]\nfrequency = " + b"9" * 5000,
    b'[[step]]\nat = "1s"\nexpect = {field = "a", equals = [0x' + b"f" * 5000 + b"]}\n",
]
RUNS = 100
FILE = Path(tempfile.gettempdir()) / f"softaxe-fuzz-{os.getpid()}"


def one_input(data: bytes) -> None:
    FILE.write_bytes(data)
    for read in (_read_tables, read_networks, _read_recording):
        with suppress(SettingError):
            read(FILE)
    FILE.unlink()


def _read_tables(path: Path) -> None:
    tables = read_toml(path)
    try:
        _report(read_scenario(tables, "scenario"))
    except SettingError:
        read_groups(tables, "fleet")


def _report(scenario: Scenario) -> None:
    """Judge each step, and report it as CI systems read that."""
    info: Mapping[str, Any] = {"pools": [{"id": 0}], "a": {"b": "\0"}, "temp": 1e308}
    infos = {"601-1": info, "601-2": None}
    outcomes = []
    for step in scenario.steps:
        found = ""
        if step.expect is not None:
            step.expect.holds(infos, infos)
            found = step.expect.found(infos)
        words = step.request.in_words() if step.request is not None else ""
        outcomes.append(Outcome(1.0, words, not found, found, step.title, 0.1, words))
    ElementTree.fromstring(junit([Report(scenario.name, outcomes, 1.0)]))


def _read_recording(path: Path) -> None:
    replay = Replay(load_recording(path))
    assert 0 <= replay.at_s <= replay.duration_s
