"""Lets a scenario happen on real ports, and reports what came of it."""

import asyncio
import json
import re
import shlex
import tempfile
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

from softaxe.client.http import address_of, exchange
from softaxe.control.programs import Program
from softaxe.errors import DeviceError, SettingError, SoftaxeError
from softaxe.expected import ALL, Requested, Tally
from softaxe.flash.image import release_bytes
from softaxe.fleet.fleet import Fleet
from softaxe.fleet.groups import (
    Group,
    member_options,
    one_of_each,
    read_group,
    read_toml,
)
from softaxe.fleet.options import FleetOptions
from softaxe.scenario import (
    LONGEST_COMMAND_S,
    Expectation,
    Infos,
    Request,
    Scenario,
    Step,
    read_scenario,
)
from softaxe.serve.journal import MOST_ENTRIES
from softaxe.serve.member import Member

LOOK_S = 1.0
"""Device time between two looks at what is expected."""
WATCHED_S = 0.1
"""Real seconds between two moments of a scenario with a speed, to be watched."""
PATIENCE_S = 10.0
"""Real seconds for the answer to a request."""
SHORTEST_S = 0.005
"""Real seconds between two looks, at least, where time goes by itself."""
UPDATE = Request(method="POST", path="/api/system/OTA", status=200)
_SHIPPED = files("softaxe") / "scenarios"
_NO_XML = re.compile("[^\\t\\n\\r\\x20-\\ud7ff\\ue000-\\ufffd\\U00010000-\\U0010ffff]")
"""What XML 1.0 cannot hold, not even escaped."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of one step that had to come true, perhaps on one of its devices."""

    at_s: float
    """Device time of the verdict."""
    what: str
    is_met: bool
    found: str = ""
    """What was seen instead."""
    title: str = "runs to its end"
    """Of the step; the same in every run."""
    took_s: float = 0.0
    """Real seconds from the step to the verdict."""
    output: str = ""
    """The end of what a program has printed."""


@dataclass(slots=True)
class _Begun:
    """A step whose verdict falls later."""

    step: Step
    began: float
    """Real time."""
    since_s: float
    """Device time."""


@dataclass(slots=True)
class _Waiting(_Begun):
    """An expectation that is not decided yet."""

    expect: Expectation
    before: Infos
    """What the devices answered then."""
    true_since_s: float | None = None


@dataclass(slots=True)
class _Counting(_Begun):
    """Requests that are still counted."""

    tally: Tally


@dataclass(slots=True)
class _Running(_Begun):
    """A program that has not ended."""

    program: Program


def shipped_names() -> list[str]:
    """Names of the scenarios that come with softaxe."""
    return sorted(
        entry.name.removesuffix(".toml")
        for entry in _SHIPPED.iterdir()
        if entry.name.endswith(".toml")
    )


def load_scenario(name: str) -> Scenario:
    """Read a scenario: a file, or one that comes with softaxe.

    Raises:
        SettingError: There is none, or something in it is not allowed.
    """
    path = Path(name)
    if not path.exists():
        if name not in shipped_names():
            known = ", ".join(shipped_names())
            raise SettingError(f"scenario: {name} is no file and none of {known}")
        path = Path(str(_SHIPPED / f"{name}.toml"))
    scenario = read_scenario(read_toml(path), path.stem)
    _groups(scenario, path.stem)
    return scenario


def _groups(scenario: Scenario, where: str) -> tuple[Group, ...]:
    """Read a scenario's groups, and what their settings come to on each board.

    Raises:
        SettingError: Something is not allowed; says where.
    """
    groups = []
    for number, table in enumerate(scenario.groups, 1):
        group = read_group(dict(table), f"{where}: group {number}")
        try:
            list(member_options(one_of_each(group), pool_rows={}))
        except SettingError as error:
            raise SettingError(f"{where}: {error}") from error
        groups.append(group)
    return tuple(groups)


async def run_scenario(
    scenario: Scenario,
    *,
    speed: float | None = None,
    tell: Callable[[Outcome], None] = lambda outcome: None,
) -> list[Outcome]:
    """Let a scenario happen.

    Args:
        scenario: Which.
        speed: Device seconds per real second; None for as fast as it goes.
        tell: Called with every verdict as it falls.

    Raises:
        SettingError: A group is not allowed.
    """
    groups = _groups(scenario, scenario.name)
    with tempfile.TemporaryDirectory(prefix="softaxe-") as folder:
        options = FleetOptions(
            state=Path(folder),
            groups=groups,
            port=0,
            pool_port=0,
            has_pool=True,
            seed=scenario.seed,
        )
        options.check()
        fleet = Fleet(options)
        run = Run(scenario, fleet, speed=speed, tell=tell)
        try:
            await fleet.start()
            ticking = asyncio.ensure_future(fleet.run())
            fleet.clock.is_paused = True
            await run.play()
            fleet.stop()
            await ticking
        except (SoftaxeError, OSError) as error:
            run.fail(str(error))
        finally:
            await fleet.close()
    return run.outcomes


class Run:
    """A scenario that happens on a fleet.

    Args:
        scenario: Which.
        fleet: Started.
        speed: Device seconds per real second; None for as fast as it goes.
        tell: Called with every verdict as it falls.
        environment: What programs are told of the fleet; None where there is nobody
            to tell. Then the time is the scenario's alone, otherwise it goes by itself.
    """

    def __init__(
        self,
        scenario: Scenario,
        fleet: Fleet,
        *,
        speed: float | None = None,
        tell: Callable[[Outcome], None] = lambda outcome: None,
        environment: Callable[[], Mapping[str, str]] | None = None,
    ) -> None:
        self._scenario = scenario
        self._fleet = fleet
        self._speed = speed
        self._tell = tell
        self._environment = environment
        self._waiting: list[_Waiting] = []
        self._counting: list[_Counting] = []
        self._running: list[_Running] = []
        self._whole: dict[int, Tally] = {}
        """Requests counted from the beginning, by the number of their step."""
        self._seen = 0
        """The newest entry of the journal that was counted."""
        self.outcomes: list[Outcome] = []
        self._began = 0.0
        self._zero_s = 0.0

    @property
    def _now_s(self) -> float:
        return self._fleet.clock.now - self._zero_s

    async def play(self) -> None:
        """Return when the last verdict has fallen."""
        self._began, self._zero_s = time.monotonic(), self._fleet.clock.now
        self._seen = self._fleet.journal.last
        for step in self._scenario.steps:
            if step.requested is not None and step.requested.within_s is None:
                self._whole[step.number] = self._tally(step.requested)
        steps = list(self._scenario.steps)
        try:
            while True:
                await self._look_at_programs()
                while steps and steps[0].at_s <= self._now_s + 1e-9:
                    if self._is_waited_for:
                        break
                    await self._do(steps.pop(0))
                self._look()
                is_undecided = self._waiting or self._counting or self._is_waited_for
                if not steps and not is_undecided:
                    return
                await self._advance(self._next_moment(steps))
        finally:
            for one in self._running:
                await one.program.close()

    @property
    def _is_waited_for(self) -> bool:
        """True while a program runs before whose end no step is taken."""
        return any(not one.step.is_background for one in self._running)

    def _next_moment(self, steps: list[Step]) -> float:
        moments = [] if self._is_waited_for else [step.at_s for step in steps[:1]]
        if self._waiting or self._counting or self._running:
            moments.append(self._now_s + LOOK_S)
        if self._speed is not None:
            moments.append(self._now_s + WATCHED_S * self._speed)
        return min(moments)

    async def _advance(self, until_s: float) -> None:
        if self._environment is not None:  # others live in this time, too
            left_s = (until_s - self._now_s) / self._fleet.clock.speed
            await asyncio.sleep(min(WATCHED_S, max(SHORTEST_S, left_s)))
            self._fleet.clock.advance()
            return
        await self._fleet.ticker.advance(until_s - self._now_s)
        if self._speed is not None:
            due = self._began + until_s / self._speed
            await asyncio.sleep(max(0.0, due - time.monotonic()))

    async def _do(self, step: Step) -> None:
        members = [m for m in self._fleet.members.values() if step.meets(m.id)]
        try:
            if not members and step.device != ALL and step.expect is None:
                raise SettingError(f"device: there is none like {step.device!r}")
            await self._begin(step)
            await self._act(step, members)
        except (SoftaxeError, OSError) as error:
            what = f"step {step.number}: {step.action} can be done"
            self._decide(step, what, is_met=False, found=str(error))

    async def _act(self, step: Step, members: list[Member]) -> None:
        if step.fault is not None:
            await self._order(step.fault)
        elif step.change is not None:
            await self._change(step.change)
        elif step.clear is not None:
            await self._clear(step.clear)
        elif step.request is not None:
            for member in members:
                await self._request(step, member, step.request)
        elif step.update is not None:
            for member in members:
                await self._request(step, member, UPDATE, release_bytes(step.update))
        elif step.is_restart:
            for member in members:
                member.order("restart")
        elif step.settings is not None:
            for member in members:
                member.patch(step.settings)

    async def _begin(self, step: Step) -> None:
        """Take a step whose verdict may fall later."""
        if step.expect is not None:
            waiting = _Waiting(step, *self._moment, step.expect, self._infos())
            self._waiting.append(waiting)
            self._look()
        elif step.requested is not None:
            tally = self._whole.get(step.number) or self._tally(step.requested)
            self._counting.append(_Counting(step, *self._moment, tally))
            self._look()
        elif step.command:
            told = self._environment() if self._environment is not None else {}
            program = await Program.start(step.command, told)
            self._running.append(_Running(step, *self._moment, program))

    async def _order(self, fault: Mapping[str, Any]) -> None:
        fleet = self._fleet
        rule = await fleet.faults.add(fault)
        if not any(rule.is_for(member.whom) for member in fleet.members.values()):
            raise SettingError(f"{rule.id}: there is no device like {rule.in_words()}")

    async def _change(self, change: Mapping[str, Any]) -> None:
        faults = self._fleet.faults
        if change["id"] not in faults.rules.rules:
            raise SettingError(f"there is no fault {change['id']!r}")
        await faults.change(change["id"], change)

    async def _clear(self, rule_id: str) -> None:
        faults = self._fleet.faults
        if rule_id == ALL:
            await faults.clear()
        elif rule_id in faults.rules.rules:
            await faults.remove(rule_id)
        else:
            raise SettingError(f"there is no fault {rule_id!r}")

    @property
    def _moment(self) -> tuple[float, float]:
        """Real and device time."""
        return time.monotonic(), self._now_s

    def _tally(self, requested: Requested) -> Tally:
        journal, clock = self._fleet.journal, self._fleet.clock
        return Tally(requested, since=journal.last, since_s=clock.now)

    async def _request(
        self, step: Step, member: Member, request: Request, body: bytes | None = None
    ) -> None:
        what = f"{member.id}: {request.in_words()}"
        began = time.monotonic()
        if body is None:
            body = (request.body or "").encode()
        try:
            reply = await exchange(
                address_of(member.url),
                request.method,
                request.path,
                body=body,
                headers=request.headers,
                timeout_s=PATIENCE_S,
            )
            status, answer = reply.status, reply.body
        except DeviceError as error:
            status, answer = 0, str(error).encode()
        found = f"{status} {answer[:200].decode('utf-8', 'replace')}"
        is_met = request.status in {None, status}
        if request.contains is not None:
            is_met = is_met and request.contains.encode() in answer
        self._decide(step, what, is_met=is_met, found=found, began=began)

    def _look(self) -> None:
        self._read_journal()
        for counting in list(self._counting):
            tally, devices = counting.tally, self._fleet.members
            verdict = tally.verdict(self._fleet.clock.now, devices)
            if verdict is not None:
                self._counting.remove(counting)
                found = tally.found(devices)
                words = tally.wanted.in_words()
                self._judge(counting, words, is_met=verdict, found=found)
        if not self._waiting:
            return
        infos = self._infos()
        for waiting in list(self._waiting):
            verdict = self._verdict(waiting, infos)
            if verdict is not None:
                self._waiting.remove(waiting)
                found = "" if verdict else waiting.expect.found(infos)
                words = waiting.expect.in_words()
                self._judge(waiting, words, is_met=verdict, found=found)

    def _read_journal(self) -> None:
        """Count what clients have asked since the last look."""
        tallies = [*self._whole.values(), *(one.tally for one in self._counting)]
        journal = self._fleet.journal
        if not tallies or journal.last == self._seen:
            return
        entries = journal.after(self._seen, lambda entry: True, MOST_ENTRIES)
        lost = journal.last - self._seen - len(entries)
        self._seen = journal.last
        for tally in {id(one): one for one in tallies}.values():
            tally.lost += lost
            for entry in entries:
                tally.see(entry)

    async def _look_at_programs(self) -> None:
        """Judge programs that have ended, and end those that take too long."""
        for one in list(self._running):
            step, status = one.step, one.program.status
            within_s = step.within_s or LONGEST_COMMAND_S
            is_late = self._now_s - one.since_s >= within_s
            if status is None and not is_late:
                continue
            self._running.remove(one)
            await one.program.close()
            wanted = step.exit_status or 0
            self._judge(
                one,
                f"{shlex.join(step.command)} ends with {wanted}",
                is_met=status == wanted,
                found=f"no end within {within_s:g} s"
                if status is None
                else f"status {status}",
                output=one.program.output,
            )

    def _verdict(self, waiting: _Waiting, infos: Infos) -> bool | None:
        """Judge an expectation; None while it may still come true."""
        expect, now_s = waiting.expect, self._now_s
        if expect.holds(infos, waiting.before):
            if waiting.true_since_s is None:
                waiting.true_since_s = now_s
            return True if now_s - waiting.true_since_s >= expect.for_s else None
        if waiting.true_since_s is not None and expect.for_s:
            return False
        is_late = now_s - waiting.since_s >= expect.within_s
        return False if is_late else None

    def _infos(self) -> Infos:
        return {
            id_: json.loads(member.info_body()) if member.is_open else None
            for id_, member in self._fleet.members.items()
        }

    def fail(self, found: str) -> None:
        """Note that it does not come to its end."""
        self._note(
            Outcome(self._now_s, "it runs to its end", is_met=False, found=found)
        )

    def _judge(
        self, one: _Begun, what: str, *, is_met: bool, found: str, output: str = ""
    ) -> None:
        began = one.began
        self._decide(
            one.step, what, is_met=is_met, found=found, began=began, output=output
        )

    def _decide(
        self,
        step: Step,
        what: str,
        *,
        is_met: bool,
        found: str,
        began: float | None = None,
        output: str = "",
    ) -> None:
        """Note a verdict."""
        self._note(
            Outcome(
                self._now_s,
                what,
                is_met,
                "" if is_met else found,
                step.title,
                0.0 if began is None else time.monotonic() - began,
                output,
            )
        )

    def _note(self, outcome: Outcome) -> None:
        self.outcomes.append(outcome)
        self._tell(outcome)


@dataclass(frozen=True, slots=True)
class Report:
    """What came of one scenario."""

    name: str
    outcomes: list[Outcome]
    took_s: float
    seed: int = 0
    """Of all chance."""

    @property
    def failed(self) -> int:
        """How much is not as expected."""
        return sum(not one.is_met for one in self.outcomes)


def junit(reports: Iterable[Report]) -> str:
    """Return a report that CI systems read: a case for every step that is judged."""
    root = ElementTree.Element("testsuites")
    for report in reports:
        cases: dict[str, list[Outcome]] = {}
        for outcome in report.outcomes:
            cases.setdefault(outcome.title, []).append(outcome)
        failures = sum(any(not one.is_met for one in of) for of in cases.values())
        suite = ElementTree.SubElement(
            root,
            "testsuite",
            name=report.name,
            tests=str(len(cases)),
            failures=str(failures),
            time=f"{report.took_s:.3f}",
        )
        properties = ElementTree.SubElement(suite, "properties")
        seed = {"name": "seed", "value": str(report.seed)}
        ElementTree.SubElement(properties, "property", seed)
        for title, outcomes in cases.items():
            _add_case(suite, report.name, title, outcomes)
    return ElementTree.tostring(root, encoding="unicode", xml_declaration=True)


def _add_case(
    suite: ElementTree.Element, classname: str, title: str, outcomes: list[Outcome]
) -> None:
    case = ElementTree.SubElement(
        suite,
        "testcase",
        classname=classname,
        name=_for_xml(title),
        time=f"{sum(one.took_s for one in outcomes):.3f}",
    )
    failed = [one for one in outcomes if not one.is_met]
    if failed:
        told = [f"{one.at_s:g} s: {one.what}; found {one.found}" for one in failed]
        failure = ElementTree.SubElement(
            case, "failure", message=_for_xml(f"found {failed[0].found}")
        )
        failure.text = _for_xml("\n".join(told))
    if output := "".join(one.output for one in outcomes):
        ElementTree.SubElement(case, "system-out").text = _for_xml(output)


def _for_xml(text: str) -> str:
    return _NO_XML.sub(lambda found: f"\\x{ord(found[0]):02x}", text)
