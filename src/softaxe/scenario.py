"""Scenarios: a time line of faults, changes and what is to come of them.

    description = "The fan dies; the device must protect itself."
    [[group]]
    board = "601"
    [[step]]
    at = "1m"
    fault = { id = "fan", effect = "fan_dead" }
    [[step]]
    at = "1m"
    expect = { field = "overheat_mode", equals = 1, within = "10m" }

Everything here is pure: it reads the file, says what is due when, and judges what the
devices answer. `control.scenario_run` lets it happen.
"""

import json as json_text
import shlex
from collections.abc import Mapping
from fnmatch import fnmatchcase
from typing import Annotated, Any, ClassVar

from msgspec import Struct
from msgspec import field as member
from msgspec.structs import replace

from softaxe.description import about, read, shown
from softaxe.device.identity import MAX_SEED
from softaxe.effects import Fault
from softaxe.errors import SettingError, read_as
from softaxe.expected import (
    ALL,
    ANY,
    COMPARISONS,
    MOST_TEXT,
    Duration,
    Json,
    Method,
    Number,
    Requested,
    Text,
    as_json,
    holds,
    in_short,
    inner,
)
from softaxe.flash.image import release_image

MOST_STEPS = 1000
MOST_ARGUMENTS = 100
LONGEST_COMMAND_S = 86_400.0
"""Of device time that a program may take that nothing is said of."""
Infos = Mapping[str, Mapping[str, Any] | None]
"""What devices answer at /api/system/info, by id; None when they do not."""
_COMPARISONS = COMPARISONS | {"unchanged": "is unchanged"}


def _check_change(change: Mapping[str, Any]) -> None:
    if not isinstance(change.get("id"), str):
        raise SettingError("id: says which fault is meant")


def _check_path(path: str) -> None:
    if not path.startswith("/"):
        raise SettingError(f"{path!r} does not begin with a slash")


def _true_of(value: object) -> bool:
    if value is not True:
        raise SettingError(f"{shown(value)} is not true")
    return True


FirmwareName = Annotated[
    str,
    about(length=(1, 31), check=release_image, told={"examples": ["2.14.2", "2.15.0"]}),
]
TRUE = about(read=_true_of, schema={"type": "boolean", "enum": [True]})


class Expectation(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is to be true of some devices, soon or for a while."""

    one_of: ClassVar[tuple[str, ...]] = tuple(_COMPARISONS)
    field: Annotated[
        Text,
        about(
            "Of the answer to GET /api/system/info; dots lead inwards. "
            "answers is true for a device that can be reached."
        ),
    ]
    device: Annotated[
        Text,
        about(
            "all, any, or a pattern of ids; of several, all must. The "
            "step's when left out."
        ),
    ] = ""
    equals: Annotated[Json, about("The field is this.")] = None
    is_not: Annotated[Json, about("The field is there, and not this.")] = None
    above: Annotated[Number, about("The field is more.")] = None
    below: Annotated[Number, about("The field is less.")] = None
    contains: Annotated[Json, about("The field, written as JSON, has this in it.")] = (
        None
    )
    unchanged: Annotated[
        bool | None, about("As it is at the step's time; needs for.")
    ] = None
    within_s: Annotated[Duration, about("By when it must have been true.")] = member(
        default=0.0, name="within"
    )
    for_s: Annotated[Duration, about("How long it must then stay so.")] = member(
        default=0.0, name="for"
    )

    def __post_init__(self) -> None:
        is_whole = self.unchanged and self.for_s and not self.within_s
        if self.unchanged is not None and not is_whole:
            raise SettingError("unchanged: write unchanged = true, for = TIME")

    @property
    def comparison(self) -> str:
        """The one of `one_of` that is asked for."""
        return next(name for name in self.one_of if getattr(self, name) is not None)

    @property
    def value(self) -> Any:
        """What is compared with."""
        return getattr(self, self.comparison)

    def holds(self, infos: Infos, before: Infos) -> bool:
        """Judge the devices' answers; a device that does not answer has no field.

        Args:
            infos: What the devices answer, by id.
            before: What they answered when the expectation was met with.
        """
        verdicts = [
            self._judge(info, before.get(id_))
            for id_, info in infos.items()
            if self.meets(id_)
        ]
        is_any = self.device == ANY
        return any(verdicts) if is_any else bool(verdicts) and all(verdicts)

    def meets(self, device_id: str) -> bool:
        """True for a device that is meant."""
        return self.device in {ALL, ANY} or fnmatchcase(device_id, self.device)

    def found(self, infos: Infos) -> str:
        """Return what the devices answered, in short."""
        shown = {
            id_: self._read(info) for id_, info in infos.items() if self.meets(id_)
        }
        if not shown:
            return in_short(f"no device like {self.device!r}")
        return in_short(json_text.dumps(shown))

    def in_words(self) -> str:
        """Return the expectation as a sentence."""
        claim = _COMPARISONS[self.comparison].format(json_text.dumps(self.value))
        soon = f" within {self.within_s:g} s" if self.within_s else ""
        long = f" for {self.for_s:g} s" if self.for_s else ""
        return f"{self.field} of {self.device} {claim}{soon}{long}"

    def _read(self, info: Mapping[str, Any] | None) -> Any:
        if self.field == "answers":
            return info is not None
        return inner(info, self.field)

    def _judge(
        self, info: Mapping[str, Any] | None, before: Mapping[str, Any] | None
    ) -> bool:
        found = self._read(info)
        if self.comparison == "unchanged":
            return found is not None and bool(found == self._read(before))
        return holds(self.comparison, found, self.value)


class Request(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A request that a client makes, and what is to come of it."""

    method: Annotated[Method, about("Of HTTP.")] = "GET"
    path: Annotated[
        Text, about("With what follows it.", pattern="^/", check=_check_path)
    ]
    text: Annotated[Text | None, about("As it is sent.")] = member(
        default=None, name="body"
    )
    headers: Annotated[dict[str, Text], about("By their names.")] = member(
        default_factory=dict
    )
    status: Annotated[
        Annotated[int, about(within=(0, 599))] | None,
        about("0 expects no answer; any will do when left out."),
    ] = None
    contains: Annotated[Text | None, about("In the answer's body.")] = None
    json: Annotated[Json, about("Instead of body; a table or another value.")] = None

    @property
    def body(self) -> str | None:
        """What is sent."""
        return self.text if self.json is None else as_json(self.json)

    def in_words(self) -> str:
        """Return what is asked and what is to come of it."""
        words = f"{self.method} {self.path}"
        if self.status is not None:
            words += f" is answered with {self.status or 'nothing'}"
        if self.contains is not None:
            words += f" and {self.contains!r} in it"
        return words


class Step(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One thing that happens at one moment."""

    one_of: ClassVar[tuple[str, ...]] = (
        "fault",
        "clear",
        "change",
        "settings",
        "restart",
        "update",
        "request",
        "command",
        "expect",
        "requested",
    )
    number: Annotated[int, about(inner=True)] = 0
    """Place in the file, from 1."""
    at_s: Annotated[Duration, about("From the moment the devices are up.")] = member(
        default=0.0, name="at"
    )
    device: Annotated[Text, about("Whom it concerns: all, or a pattern of ids.")] = ALL
    fault: Annotated[dict[str, Any] | None, about("Add a fault.", kept=Fault)] = None
    change: Annotated[
        dict[str, Any] | None,
        about("Change the fault of this id, or pause it.", check=_check_change),
    ] = None
    clear: Annotated[Text | None, about("Take the fault of this id back, or all.")] = (
        None
    )
    settings: Annotated[
        dict[str, Any] | None,
        about("Change settings, by the names of PATCH /api/system.", check=as_json),
    ] = None
    is_restart: Annotated[bool, TRUE, about("Restart.")] = member(
        default=False, name="restart"
    )
    update: Annotated[
        FirmwareName | None,
        about(
            "Upload the firmware of a release and restart into it; any other text is "
            "the version of firmware that nobody knows."
        ),
    ] = None
    request: Annotated[Request | None, about("Ask over HTTP and check the answer.")] = (
        None
    )
    command: Annotated[
        tuple[Text, ...],
        about(
            "Start a program, with its arguments, and wait for its end; "
            "with softaxe run --scenario.",
            length=(0, MOST_ARGUMENTS),
        ),
    ] = ()
    exit_status: Annotated[
        Annotated[int, about(within=(0, 255))] | None,
        about("Of the command; 0 when left out."),
    ] = None
    is_background: Annotated[
        bool,
        TRUE,
        about(
            "The steps that follow do not wait for the command's end; it is ended "
            "with the scenario."
        ),
    ] = member(default=False, name="background")
    within_s: Annotated[
        Duration | None, about("By when the command must have ended; 24h if left out.")
    ] = member(default=None, name="within")
    expect: Annotated[Expectation | None, about("Check /api/system/info.")] = None
    requested: Annotated[
        Requested | None, about("Check what clients asked of the devices.")
    ] = None

    def __post_init__(self) -> None:
        of_command = {
            "exit_status": self.exit_status is not None,
            "background": self.is_background,
            "within": self.within_s is not None,
        }
        for name, is_said in of_command.items():
            if is_said and not self.command:
                raise SettingError(f"{name}: goes with command")

    @property
    def action(self) -> str:
        """The one of `one_of` that it does."""
        return next(name for name in self.one_of if self._has(name))

    def _has(self, name: str) -> bool:
        if name in {"restart", "command"}:
            return bool(self.is_restart if name == "restart" else self.command)
        return getattr(self, name) is not None

    @property
    def title(self) -> str:
        """What it is called in reports: always the same for the same step."""
        if self.expect is not None:
            words = self.expect.in_words()
        elif self.requested is not None:
            words = self.requested.in_words()
        elif self.request is not None:
            words = self.request.in_words()
        elif self.command:
            words = f"{shlex.join(self.command)} ends with {self.exit_status or 0}"
        else:
            words = f"{self.action} can be done"
        return f"step {self.number}: {words}"

    def meets(self, device_id: str) -> bool:
        """True for a device that is meant."""
        return self.device == ALL or fnmatchcase(device_id, self.device)


class Scenario(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A time line of faults, changes and what is to come of them."""

    name: Annotated[Text, about("The file's when left out.")] = ""
    description: Annotated[str, about(length=(0, MOST_TEXT))] = ""
    seed: Annotated[int, about("Of all chance.", within=(0, MAX_SEED - 1))] = 1
    groups: tuple[dict[str, Any], ...] = member(default=({},), name="group")
    """Tables as in a fleet file."""
    steps: Annotated[tuple[Step, ...], about(length=(1, MOST_STEPS))] = member(
        name="step"
    )
    """By time; of the same moment, in the file's order."""

    @property
    def has_groups(self) -> bool:
        """True when it says which devices it is about."""
        return any(self.groups)

    @property
    def has_commands(self) -> bool:
        """True when it starts programs."""
        return any(step.command for step in self.steps)


def read_scenario(data: Mapping[str, Any], name: str) -> Scenario:
    """Check a scenario file's tables.

    Raises:
        SettingError: Something is not allowed; says where.
    """
    found: Scenario = read_as(name, lambda table: read(Scenario, table), data)
    steps = [_placed(step, number) for number, step in enumerate(found.steps, 1)]
    steps.sort(key=lambda step: step.at_s)
    return replace(found, name=found.name or name, steps=tuple(steps))


def _placed(step: Step, number: int) -> Step:
    """Let a fault and an expectation be for the step's device, if for no other."""
    fault, expect = step.fault, step.expect
    if fault is not None and step.device != ALL:
        fault = {"device": step.device, **fault}
    if expect is not None and not expect.device:
        expect = replace(expect, device=step.device)
    requested = step.requested
    if requested is not None and not requested.device:
        requested = replace(requested, device=step.device)
    return replace(step, number=number, fault=fault, expect=expect, requested=requested)
