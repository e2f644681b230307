"""`softaxe scenario`: faults that happen, and what is expected of them."""

import asyncio
import os
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NoReturn

import typer

from softaxe.cli.terminal import JsonOption, fail, print_json, run_loop
from softaxe.errors import SoftaxeError
from softaxe.fleet.clock import SPEEDS
from softaxe.units import printable

if TYPE_CHECKING:
    from softaxe.control.scenario_run import Outcome, Report, Run
    from softaxe.fleet.fleet import Fleet
    from softaxe.scenario import Scenario
    from softaxe.warp.native import Page


def run_scenario(
    names: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="FILE|NAME",
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

    def tell(outcome: "Outcome") -> None:
        if not json:
            tell_outcome(outcome)

    for scenario in scenarios:
        if scenario.has_commands:
            fail(
                f"{scenario.name}: command: programs need addresses that they know; "
                "softaxe run --scenario plays it on devices that have them"
            )
    for scenario in scenarios:
        if not json:
            typer.echo(f"{scenario.name}: {scenario.description}")
        began = time.monotonic()
        outcomes = run_loop(scenario_run.run_scenario(scenario, speed=speed, tell=tell))
        took_s = time.monotonic() - began
        reports.append(
            scenario_run.Report(scenario.name, outcomes, took_s, scenario.seed)
        )
    if json:
        print_json(reports)
    end(reports, junit, is_told=not json)


def tell_outcome(outcome: "Outcome") -> None:
    """Print a verdict in a line, and what a program that has failed has printed."""
    mark = "ok    " if outcome.is_met else "FAILED"
    found = "" if outcome.is_met else f"; found {printable(outcome.found)}"
    what = printable(outcome.what)
    typer.echo(f"  {outcome.at_s:8.1f} s  {mark}  {what}{found}")
    if not outcome.is_met:
        for line in outcome.output.splitlines():
            typer.echo(f"    | {printable(line)}")
    sys.stdout.flush()


def end(
    reports: list["Report"], junit: Path | None, *, is_told: bool = True
) -> NoReturn:
    """Write the report and leave with the verdict."""
    from softaxe.control import scenario_run  # noqa: PLC0415

    if junit is not None:
        try:
            junit.write_text(scenario_run.junit(reports), encoding="utf-8")
        except OSError as error:
            fail(f"--junit: {error}")
    failed = sum(report.failed for report in reports)
    met = sum(len(report.outcomes) for report in reports) - failed
    if is_told:
        typer.echo(f"{met} as expected, {failed} not")
    raise typer.Exit(1 if failed else 0)


class Playing:
    """A scenario that is played on the devices of `softaxe run`.

    Args:
        scenario: Which.
        junit: Where the report is to be written.
        token: Of the control API; empty for none.
    """

    def __init__(self, scenario: "Scenario", junit: Path | None, token: str) -> None:
        self.scenario = scenario
        self._junit = junit
        self._token = token
        self._run: Run | None = None
        self._is_whole = False
        self._began = time.monotonic()
        self._seed = scenario.seed

    async def play(self, fleet: "Fleet") -> None:
        """Return when its last verdict has fallen."""
        from softaxe.control.scenario_run import Run  # noqa: PLC0415

        self._began = time.monotonic()
        self._seed = fleet.options.seed or 0
        with _time_of(fleet) if self.scenario.has_commands else nullcontext() as page:
            self._run = Run(
                self.scenario,
                fleet,
                tell=tell_outcome,
                environment=lambda: environment(fleet, self._token, page),
            )
            typer.echo(f"{self.scenario.name}: {printable(self.scenario.description)}")
            await self._run.play()
        self._is_whole = True

    def end(self) -> NoReturn:
        """Write the report and leave with the verdict."""
        from softaxe.control.scenario_run import Report  # noqa: PLC0415

        if self._run is None:  # it was ended before it had begun
            raise typer.Exit(1)
        if not self._is_whole:
            self._run.fail("it was stopped")
        took_s = time.monotonic() - self._began
        report = Report(self.scenario.name, self._run.outcomes, took_s, self._seed)
        end([report], self._junit)


def read_playing(name: str, junit: Path | None, token: str) -> Playing:
    """Read a scenario that is to be played on devices that are described elsewhere."""
    from softaxe.control.scenario_run import load_scenario  # noqa: PLC0415

    try:
        scenario = load_scenario(name)
    except SoftaxeError as error:
        fail(f"--scenario: {error}")
    if scenario.has_groups:
        fail(
            f"--scenario: {scenario.name} has a [[group]]; the devices are those of "
            f"softaxe run, or leave them to softaxe scenario {name}"
        )
    return Playing(scenario, junit, token)


@contextmanager
def _time_of(fleet: "Fleet") -> "Iterator[Page | None]":
    """Tell a fleet's time to programs that are not Python, meanwhile."""
    from softaxe.warp.native import LOOK_S, page_in  # noqa: PLC0415

    with tempfile.TemporaryDirectory(prefix="softaxe-warp-") as folder:
        page = page_in(Path(folder), fleet.clock.now)
        if page is None:
            yield None
            return

        async def tell() -> None:
            while True:
                page.tell(fleet.clock.now, time.monotonic())
                await asyncio.sleep(LOOK_S)

        telling = asyncio.create_task(tell())
        try:
            yield page
        finally:
            telling.cancel()


def environment(fleet: "Fleet", token: str, page: "Page | None") -> dict[str, str]:
    """Return what the programs of a scenario are told of its devices, and its time."""
    from softaxe import warp  # noqa: PLC0415

    urls = [member.url for member in fleet.members.values()]
    told = {
        "SOFTAXE_CONTROL_URL": fleet.control_url or "",
        "SOFTAXE_CONTROL_TOKEN": token,
        "SOFTAXE_DEVICE_URL": urls[0] if urls else "",
        "SOFTAXE_DEVICE_URLS": " ".join(urls),
    }
    given = {name: text for name, text in told.items() if text}
    if fleet.control_url is None or sys.platform == "win32":
        return given
    return warp.environment(
        fleet.control_url,
        now_s=fleet.clock.now,
        is_driving=False,
        token=token,
        page=page,
        environ={**os.environ, **given},
    )
