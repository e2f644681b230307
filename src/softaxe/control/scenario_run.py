"""Lets a scenario happen on real ports, and reports what came of it."""

import asyncio
import json
import re
import tempfile
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

from softaxe.client.http import address_of, exchange
from softaxe.errors import DeviceError, SettingError, SoftaxeError
from softaxe.expected import ALL
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
    Expectation,
    Infos,
    Request,
    Scenario,
    Step,
    read_scenario,
)
from softaxe.serve.member import Member

LOOK_S = 1.0
"""Device time between two looks at what is expected."""
WATCHED_S = 0.1
"""Real seconds between two moments of a scenario with a speed, to be watched."""
PATIENCE_S = 10.0
"""Real seconds for the answer to a request."""
UPDATE = Request(method="POST", path="/api/system/OTA", status=200)
_SHIPPED = files("softaxe") / "scenarios"
_NO_XML = re.compile("[^\\t\\n\\r\\x20-\\ud7ff\\ue000-\\ufffd\\U00010000-\\U0010ffff]")
"""What XML 1.0 cannot hold, not even escaped."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of one step that had to come true."""

    at_s: float
    """Device time of the verdict."""
    what: str
    is_met: bool
    found: str = ""
    """What was seen instead."""


@dataclass(slots=True)
class _Waiting:
    """An expectation that is not decided yet."""

    expect: Expectation
    before: Infos
    """What the devices answered then."""
    since_s: float
    true_since_s: float | None = None


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
        run = _Run(scenario, fleet, speed, tell)
        try:
            await fleet.start()
            ticking = asyncio.ensure_future(fleet.run())
            fleet.clock.is_paused = True
            await run.play()
            fleet.stop()
            await ticking
        except (SoftaxeError, OSError) as error:
            run.decide("it runs to its end", is_met=False, found=str(error))
        finally:
            await fleet.close()
    return run.outcomes


class _Run:
    def __init__(
        self,
        scenario: Scenario,
        fleet: Fleet,
        speed: float | None,
        tell: Callable[[Outcome], None],
    ) -> None:
        self._scenario = scenario
        self._fleet = fleet
        self._speed = speed
        self._tell = tell
        self._waiting: list[_Waiting] = []
        self.outcomes: list[Outcome] = []
        self._began = 0.0
        self._zero_s = 0.0

    @property
    def _now_s(self) -> float:
        return self._fleet.clock.now - self._zero_s

    async def play(self) -> None:
        self._began, self._zero_s = time.monotonic(), self._fleet.clock.now
        steps = list(self._scenario.steps)
        while True:
            while steps and steps[0].at_s <= self._now_s + 1e-9:
                await self._do(steps.pop(0))
            self._look()
            if not steps and not self._waiting:
                return
            await self._advance(self._next_moment(steps))

    def _next_moment(self, steps: list[Step]) -> float:
        moments = [step.at_s for step in steps[:1]]
        if self._waiting:
            moments.append(self._now_s + LOOK_S)
        if self._speed is not None:
            moments.append(self._now_s + WATCHED_S * self._speed)
        return min(moments)

    async def _advance(self, until_s: float) -> None:
        await self._fleet.ticker.advance(until_s - self._now_s)
        if self._speed is not None:
            due = self._began + until_s / self._speed
            await asyncio.sleep(max(0.0, due - time.monotonic()))

    async def _do(self, step: Step) -> None:
        members = [m for m in self._fleet.members.values() if step.meets(m.id)]
        try:
            if not members and step.device != ALL and step.expect is None:
                raise SettingError(f"device: there is none like {step.device!r}")
            await self._act(step, members)
        except SoftaxeError as error:
            what = f"step {step.number}: {step.action} can be done"
            self.decide(what, is_met=False, found=str(error))

    async def _act(self, step: Step, members: list[Member]) -> None:
        if step.fault is not None:
            await self._order(step.fault)
        elif step.change is not None:
            await self._change(step.change)
        elif step.clear is not None:
            await self._clear(step.clear)
        elif step.expect is not None:
            waiting = _Waiting(step.expect, self._infos(), self._now_s)
            self._waiting.append(waiting)
            self._look()
        elif step.request is not None:
            for member in members:
                await self._request(member, step.request)
        elif step.update is not None:
            for member in members:
                await self._request(member, UPDATE, release_bytes(step.update))
        elif step.is_restart:
            for member in members:
                member.order("restart")
        else:
            for member in members:
                member.patch(step.settings or {})

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

    async def _request(
        self, member: Member, request: Request, body: bytes | None = None
    ) -> None:
        what = f"{member.id}: {request.method} {request.path}"
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
        if request.status is not None:
            what += f" is answered with {request.status or 'nothing'}"
        if request.contains is not None:
            what += f" and {request.contains!r} in it"
        self.decide(what, is_met=is_met, found=found)

    def _look(self) -> None:
        if not self._waiting:
            return
        infos = self._infos()
        for waiting in list(self._waiting):
            verdict = self._verdict(waiting, infos)
            if verdict is not None:
                self._waiting.remove(waiting)
                found = "" if verdict else waiting.expect.found(infos)
                self.decide(waiting.expect.in_words(), is_met=verdict, found=found)

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

    def decide(self, what: str, *, is_met: bool, found: str) -> None:
        """Note a verdict."""
        outcome = Outcome(self._now_s, what, is_met, "" if is_met else found)
        self.outcomes.append(outcome)
        self._tell(outcome)


@dataclass(frozen=True, slots=True)
class Report:
    """What came of one scenario."""

    name: str
    outcomes: list[Outcome]
    took_s: float


def junit(reports: Iterable[Report]) -> str:
    """Return a report that CI systems read."""
    root = ElementTree.Element("testsuites")
    for report in reports:
        failures = [one for one in report.outcomes if not one.is_met]
        suite = ElementTree.SubElement(
            root,
            "testsuite",
            name=report.name,
            tests=str(len(report.outcomes)),
            failures=str(len(failures)),
            time=f"{report.took_s:.3f}",
        )
        for outcome in report.outcomes:
            name = _for_xml(f"{outcome.at_s:g} s: {outcome.what}")
            case = ElementTree.SubElement(
                suite, "testcase", classname=report.name, name=name
            )
            if not outcome.is_met:
                found = _for_xml(f"found {outcome.found}")
                ElementTree.SubElement(case, "failure", message=found)
    return ElementTree.tostring(root, encoding="unicode", xml_declaration=True)


def _for_xml(text: str) -> str:
    return _NO_XML.sub(lambda found: f"\\x{ord(found[0]):02x}", text)
