"""`softaxe scenario`: faults that happen, and what is expected of them."""

import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from softaxe.cli.terminal import JsonOption, fail, print_json, run_loop
from softaxe.errors import SoftaxeError
from softaxe.fleet.clock import SPEEDS
from softaxe.units import printable

if TYPE_CHECKING:
    from softaxe.control.scenario_run import Outcome


def run_scenario(
    names: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[FILE|NAME]...",
            help="Scenario files, or names of those that come with softaxe.",
        ),
    ] = None,
    speed: Annotated[
        float | None,
        typer.Option(
            min=SPEEDS[0],
            max=SPEEDS[1],
            help="Device seconds per real second; as fast as it goes by default.",
        ),
    ] = None,
    junit: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Write a JUnit report, for CI systems."),
    ] = None,
    json: JsonOption = False,
) -> None:
    """Let faults happen and check what comes of them; exit 1 when it is not so."""
    from softaxe.control import scenario_run  # noqa: PLC0415

    if not names:
        there = {
            name: scenario_run.load_scenario(name).description
            for name in scenario_run.shipped_names()
        }
        if json:
            print_json([{"name": name, "description": there[name]} for name in there])
            return
        for name, description in there.items():
            typer.echo(f"{name:20} {description}")
        return
    try:
        scenarios = [scenario_run.load_scenario(name) for name in names]
    except SoftaxeError as error:
        fail(error)
    reports = []
    failed = 0

    def tell(outcome: "Outcome") -> None:
        if json:
            return
        mark = "ok    " if outcome.is_met else "FAILED"
        found = "" if outcome.is_met else f"; found {printable(outcome.found)}"
        typer.echo(f"  {outcome.at_s:8.1f} s  {mark}  {outcome.what}{found}")

    for scenario in scenarios:
        if not json:
            typer.echo(f"{scenario.name}: {scenario.description}")
        began = time.monotonic()
        outcomes = run_loop(scenario_run.run_scenario(scenario, speed=speed, tell=tell))
        failed += sum(not outcome.is_met for outcome in outcomes)
        took_s = time.monotonic() - began
        reports.append(scenario_run.Report(scenario.name, outcomes, took_s))
    if junit is not None:
        try:
            junit.write_text(scenario_run.junit(reports), encoding="utf-8")
        except OSError as error:
            fail(f"--junit: {error}")
    met = sum(len(report.outcomes) for report in reports) - failed
    if json:
        print_json(reports)
    else:
        typer.echo(f"{met} as expected, {failed} not")
    raise typer.Exit(1 if failed else 0)
