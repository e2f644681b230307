import asyncio
import tomllib
from pathlib import Path
from xml.etree import ElementTree

import pytest
from tests.commands import ended
from typer.testing import CliRunner

from softaxe.cli.commands import app
from softaxe.control.scenario_run import (
    Outcome,
    Report,
    junit,
    run_scenario,
    shipped_names,
)
from softaxe.fleet.ticker import Ticker
from softaxe.scenario import read_scenario


def test_they_come_true(tmp_path: Path) -> None:
    report = tmp_path / "report.xml"

    result = ended("scenario", *shipped_names(), "--junit", str(report))

    assert result.returncode == 0, result.stdout + result.stderr
    assert result.stderr == ""
    assert "0 not" in result.stdout.splitlines()[-1]
    suites = ElementTree.parse(report).getroot()
    assert [suite.get("name") for suite in suites] == shipped_names()
    assert {suite.get("failures") for suite in suites} == {"0"}


ONE_STEP = "[[step]]\nrestart = true"
REFUSED = """
[[group]]
count = 2
[[step]]
device = "601-*"
settings = { frequency = 0 }
[[step]]
clear = "nothing"
[[step]]
change = { id = "nothing", paused = true }
[[step]]
device = "nobody"
restart = true
[[step]]
device = "nobody"
fault = { effect = "fan_dead" }
[[step]]
fault = { effect = "fan_dead", group = "nobody" }
[[step]]
fault = { id = "few", effect = "fan_dead", share = 0.0001 }
[[step]]
device = "601-2"
request = { path = "/api/system/nothing", status = 404 }
[[step]]
request = { path = "/api/system/nothing", status = 200 }
"""


def test_steps_that_cannot_be_done_fail_and_the_rest_goes_on(tmp_path: Path) -> None:
    path, report = tmp_path / "mine.toml", tmp_path / "report.xml"
    path.write_text(REFUSED)

    arguments = ["scenario", str(path), "access-refused", "--junit", str(report)]
    result = CliRunner().invoke(app, arguments)

    assert result.exit_code == 1, result.stderr
    told = [
        "step 1: settings can be done; found frequency: 0 is outside 1..65535 MHz",
        "step 2: clear can be done; found there is no fault 'nothing'",
        "step 3: change can be done; found there is no fault 'nothing'",
        "step 4: restart can be done; found device: there is none like 'nobody'",
        "step 5: fault can be done; found device: there is none like 'nobody'",
        "step 6: fault can be done; found fault-1: there is no device like '*' in a "
        "group like 'nobody'",
        "601-2: GET /api/system/nothing is answered with 404",
        "601-1: GET /api/system/nothing is answered with 200; found 404",
    ]
    assert [text for text in told if text not in result.stdout] == []
    mine, shipped = ElementTree.parse(report).getroot()
    assert (mine.get("tests"), mine.get("failures")) == ("8", "7")
    assert (shipped.get("name"), shipped.get("failures")) == ("access-refused", "0")


@pytest.mark.parametrize(
    ("group", "complaint"),
    [
        ('board = "hexagon"', "bad: group 2: board: "),
        (
            "settings = { frequency = 0 }",
            "bad: group devices: frequency: 0 is outside",
        ),
        (
            "settings = { speed = 1 }",
            "bad: group devices: settings: speed is",
        ),
    ],
)
def test_groups_are_checked_before_anything_happens(
    tmp_path: Path, group: str, complaint: str
) -> None:
    path = tmp_path / "bad.toml"
    path.write_text(f'[[group]]\nname = "a"\n[[group]]\n{group}\n{ONE_STEP}')

    result = CliRunner().invoke(app, ["scenario", "flatline", str(path)])

    assert type(result.exception) is SystemExit
    assert result.exit_code == 2
    assert complaint in result.stderr
    assert result.stdout == ""


def test_a_report_is_xml_whatever_a_device_answers() -> None:
    outcome = Outcome(
        1.0,
        "a \x00 & b",
        is_met=False,
        found="\x1b[31m \ud800 ü\n",
        title="step 1: a \x00",
        took_s=0.25,
        output="\x07",
    )

    suite = ElementTree.fromstring(junit([Report("x", [outcome], 1.0, seed=7)]))[0]

    case, failure = suite.find("testcase"), suite.find("testcase/failure")
    assert case is not None
    assert failure is not None
    assert "1 s: a \\x00 & b; found " in (failure.text or "")
    assert case.findtext("system-out") == "\\x07"
    seed = suite.find("properties/property")
    assert seed is not None
    assert (seed.get("name"), seed.get("value")) == ("seed", "7")
    assert case.get("name") == "step 1: a \\x00"
    assert case.get("time") == "0.250"
    assert failure.get("message") == "found \\x1b[31m \\xd800 ü\n"


def test_a_scenario_with_a_speed_goes_on_steadily(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    steps: list[float] = []
    advance = Ticker.advance

    async def noted(ticker: Ticker, duration_s: float) -> None:
        steps.append(duration_s)
        await advance(ticker, duration_s)

    monkeypatch.setattr(Ticker, "advance", noted)
    data = {"step": [{"at": at, "clear": "all"} for at in ("0s", "4s")]}

    asyncio.run(run_scenario(read_scenario(data, "x"), speed=20))

    assert steps == pytest.approx([2.0, 2.0])


ASKED = """
[[step]]
request = { method = "PATCH", path = "/api/system", json = { frequency = 485 } }
device = "601-1"
[[step]]
at = "1s"
requested = { method = "PATCH", body = { frequency = { below = 500 } } }
device = "601-1"
[[step]]
at = "1s"
requested = { device = "any", method = "PATCH", exactly = 1, within = "30s" }
[[step]]
at = "10s"
request = { method = "PATCH", path = "/api/system", json = { frequency = 525 } }
[[step]]
at = "11s"
requested = { method = "PATCH", after = { body = { frequency = 485 } } }
device = "601-1"
[[step]]
at = "11s"
requested = { method = "DELETE", exactly = 0, within = "1m" }
"""


def test_requests_are_expected_too() -> None:
    data = {"group": [{"count": 2}], **tomllib.loads(ASKED)}

    outcomes = asyncio.run(run_scenario(read_scenario(data, "x")))

    judged = [one for one in outcomes if "gets" in one.what]
    assert [(one.title[:7], one.is_met) for one in judged] == [
        ("step 2:", True),
        ("step 3:", False),
        ("step 5:", True),
        ("step 6:", True),
    ]
    assert judged[1].found.startswith('{"any": 2}')
    assert judged[1].at_s < 12
    assert judged[3].at_s == pytest.approx(71, abs=1)
