import json
from pathlib import Path
from xml.etree import ElementTree

from typer.testing import CliRunner

from softaxe.cli.commands import app
from softaxe.control.scenario_run import shipped_names


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
    failures = [case.find("failure") is not None for case in suite]
    assert failures == [False, True]


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
