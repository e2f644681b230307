import json
import sys
from pathlib import Path
from xml.etree import ElementTree

from typer.testing import CliRunner

from softaxe.cli.commands import app
from softaxe.control.scenario_run import shipped_names
from softaxe.warp.native import library


def test_sixteen_come_with_softaxe() -> None:
    listed = CliRunner().invoke(app, ["scenario"])

    assert listed.exit_code == 0
    assert len(shipped_names()) == 16
    assert [line.split()[0] for line in listed.stdout.splitlines()] == shipped_names()


FAILING = """
[[group]]
count = 2
[[step]]
expect = { field = "boardVersion", equals = "601" }
[[step]]
at = "5s"
expect = { field = "temp", above = 500, within = "3s" }
"""


def test_what_does_not_come_true_is_told_and_reported(tmp_path: Path) -> None:
    path, report = tmp_path / "mine.toml", tmp_path / "report.xml"
    path.write_text(FAILING)

    result = CliRunner().invoke(app, ["scenario", str(path), "--junit", str(report)])

    assert result.exit_code == 1
    assert "temp of all is above 500 within 3 s; found" in result.stdout
    assert "1 as expected, 1 not" in result.stdout
    suite = ElementTree.parse(report).getroot()[0]
    assert (suite.get("name"), suite.get("tests"), suite.get("failures")) == (
        "mine",
        "2",
        "1",
    )
    cases = suite.findall("testcase")
    assert [case.get("name") for case in cases] == [
        'step 1: boardVersion of all is "601"',
        "step 2: temp of all is above 500 within 3 s",
    ]
    assert [case.find("failure") is not None for case in cases] == [False, True]


def test_a_bad_name_or_file_is_told(tmp_path: Path) -> None:
    path = tmp_path / "bad.toml"
    path.write_text("[[step]]\nat = 5")

    missing = CliRunner().invoke(app, ["scenario", "nothing"])
    bad = CliRunner().invoke(app, ["scenario", str(path)])

    assert type(missing.exception) is type(bad.exception) is SystemExit
    assert missing.exit_code == bad.exit_code == 2
    assert "nothing is no file and none of access-refused" in missing.stderr
    assert "bad: step 1: has not one of fault" in bad.stderr


def test_programs_read_json(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text(FAILING)

    listed = CliRunner().invoke(app, ["scenario", "--json"])
    found = CliRunner().invoke(app, ["scenario", str(path), "--json"])

    names = [one["name"] for one in json.loads(listed.stdout)]
    assert names == sorted(names)
    assert "fan-failure" in names
    (report,) = json.loads(found.stdout)
    assert report["name"] == "mine"
    assert [one["is_met"] for one in report["outcomes"]] == [True, False]
    assert found.exit_code == 1


CLIENT = """
import json, os, time, urllib.request
time.sleep(900)  # of the devices' time
for url in os.environ["SOFTAXE_DEVICE_URLS"].split():
    body = json.dumps({"frequency": 490}).encode()
    request = urllib.request.Request(url + "/api/system", body, method="PATCH")
    urllib.request.urlopen(request, timeout=10)
clock = os.environ["SOFTAXE_CONTROL_URL"] + "/control/clock"
print("speed", json.load(urllib.request.urlopen(clock, timeout=10))["speed"])
raise SystemExit(4)
"""
WITH_CLIENT = """
[[step]]
requested = { method = "PATCH", body = { frequency = { below = 500 } }, within = "1h" }
[[step]]
background = true
command = ["sh", "-c", "sleep 1000000"]
[[step]]
command = [PYTHON, "-c", CLIENT]
exit_status = 4
[[step]]
requested = { method = "PATCH", exactly = 1 }
[[step]]
command = ["no-such-program"]
[[step]]
at = "5s"
expect = { field = "frequency", equals = 490, within = "1m" }
[[step]]
command = ["sleep", "SLEEP_S"]
within = "40m"
"""


def test_a_program_takes_part_on_the_devices_of_run(tmp_path: Path) -> None:
    path, report = tmp_path / "mine.toml", tmp_path / "report.xml"
    text = WITH_CLIENT.replace("PYTHON", json.dumps(sys.executable))
    text = text.replace("SLEEP_S", "600" if library() else "0.1")
    path.write_text(text.replace("CLIENT]", json.dumps(CLIENT) + "]"))
    arguments = ["--scenario", str(path), "--junit", str(report)]
    arguments += ["--count", "2", "--port-base", "0", "--control", "127.0.0.1:0"]

    found = CliRunner().invoke(app, ["run", *arguments, "--speed", "1000"])
    alone = CliRunner().invoke(app, ["scenario", str(path)])

    assert found.exit_code == 1, found.output
    cases = ElementTree.parse(report).getroot()[0].findall("testcase")
    failed = [case for case in cases if case.find("failure") is not None]
    assert [case.get("name") for case in failed] == [
        "step 5: no-such-program ends with 0"
    ]
    assert sorted(str(case.get("name"))[:7] for case in cases) == [
        f"step {number}:" for number in (1, 3, 4, 5, 6, 7)
    ]
    assert "speed 1000" in report.read_text()
    assert "5 as expected, 1 not" in found.output
    assert alone.exit_code == 2
    assert "softaxe run --scenario plays it" in alone.stderr


def test_what_run_cannot_play_is_told(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text(FAILING)

    def told(*arguments: str) -> str:
        found = CliRunner().invoke(app, ["run", *arguments])
        assert found.exit_code == 2
        return found.stderr

    assert "mine has a [[group]]" in told("--scenario", str(path))
    assert "--scenario: scenario: nothing is no file" in told("--scenario", "nothing")
    assert "--junit: goes with --scenario" in told("--junit", "x")
    two = ("--workers", "2", "--count", "2")
    assert "--workers: a scenario is" in told(*two, "--scenario", str(path))
