"""What is loaded by those who only have softaxe installed."""

import subprocess
import sys

import pytest

import softaxe


def loaded_by(statement: str) -> set[str]:
    """Return the modules that a fresh interpreter has after `statement`."""
    program = f"import sys; {statement}; print(*sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", program], check=True, capture_output=True, text=True
    )
    return set(done.stdout.split())


@pytest.mark.parametrize(
    ("statement", "own"),
    [
        ("import softaxe", {"softaxe"}),
        (
            "import softaxe.testing.plugin",
            {"softaxe", "softaxe.testing", "softaxe.testing.plugin"},
        ),
        (
            "sys.argv = ['softaxe', '--version']; "
            "from softaxe.cli.app import main; main()",
            {"softaxe", "softaxe.cli", "softaxe.cli.app"},
        ),
    ],
)
def test_nothing_is_loaded_before_it_is_used(statement: str, own: set[str]) -> None:
    loaded = loaded_by(statement)

    heavy = {"asyncio", "msgspec", "PIL", "typer", "prometheus_client", "websockets"}
    assert {name for name in loaded if name.split(".")[0] == "softaxe"} == own
    assert not loaded & heavy


def test_every_public_name_is_there_when_it_is_asked_for() -> None:
    for name in softaxe.__all__:
        assert getattr(softaxe, name) is not None
        assert name in dir(softaxe)
    with pytest.raises(AttributeError, match="has no attribute 'Miner'"):
        softaxe.Miner  # noqa: B018


def test_the_processes_of_a_divided_fleet_do_without_the_command_line() -> None:
    loaded = loaded_by("import softaxe.cli.log_lines")

    assert not loaded & {"typer", "rich"}
