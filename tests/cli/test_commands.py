import pytest
from typer.testing import CliRunner

from softaxe import __version__
from softaxe.cli.commands import app


def test_the_version_is_answered_beside_other_options_too() -> None:
    result = CliRunner().invoke(app, ["--version", "run"])

    assert (result.exit_code, result.output) == (0, f"softaxe {__version__}\n")


@pytest.mark.unwatched
def test_help_is_asked_for_shortly_too() -> None:
    for words in ([], ["run"], ["scenario"]):
        asked = CliRunner().invoke(app, [*words, "-h"])
        assert asked.exit_code == 0
        assert asked.output == CliRunner().invoke(app, [*words, "--help"]).output
