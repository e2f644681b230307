"""What the control API can do: one row per operation."""

from collections.abc import Mapping
from typing import Any

from msgspec import Struct, field

from softaxe.control import bodies
from softaxe.effects import Fault
from softaxe.fleet.groups import Group
from softaxe.fleet.miners import AnyDeed


class Operation(Struct, frozen=True):
    """One row of the API: what its document and its router are made of."""

    method: str
    path: str
    name: str
    """Of the method that answers."""
    help: str
    answer: type[Struct] | None = bodies.Nothing
    """What it answers when all is well; None for text."""
    query: type[Struct] = bodies.NoQuery
    """What may follow the path."""
    body: Any = None
    """The JSON it takes: a Struct, or a union of them."""
    status: int = 200
    about: str = ""
    """More than `help` says."""
    other: Mapping[int, type[Struct]] = field(default_factory=dict)
    """What it answers besides, by status."""

    @property
    def tag(self) -> str:
        """Its part of the API."""
        part = self.path.split("/")[2] if self.path.count("/") > 1 else ""
        return part if part in TAGS else "fleet"


TAGS = {
    "fleet": "All devices together, and the process.",
    "devices": "Each device.",
    "pool": "The built-in pool and its miners.",
    "faults": "What goes wrong.",
    "clock": "Device time, which all devices share.",
    "journal": "What clients asked the devices.",
    "snapshots": "Moments to come back to.",
}

OPERATIONS = (
    Operation(
        "GET",
        "/control/health",
        "health",
        "Answers while the process lives.",
        bodies.Health,
    ),
    Operation(
        "GET",
        "/control/ready",
        "ready",
        "Tells whether every device is up; 503 until then.",
        bodies.Health,
        other={503: bodies.Starting},
    ),
    Operation("GET", "/control/fleet", "fleet", "Totals of all devices.", bodies.Fleet),
    Operation(
        "GET",
        "/control/workers",
        "workers",
        "Who has which devices, and who is away.",
        bodies.Workers,
    ),
    Operation(
        "GET",
        "/control/load",
        "load",
        "How many shares pools were sent, and how fast they answered.",
        bodies.Load,
    ),
    Operation(
        "GET",
        "/control/history",
        "history",
        "Totals over the last two hours.",
        bodies.History,
    ),
    Operation(
        "GET",
        "/control/devices",
        "devices",
        "The devices, one row each.",
        bodies.Rows,
        query=bodies.DevicesQuery,
    ),
    Operation(
        "POST",
        "/control/devices",
        "add_devices",
        "Switch on more devices.",
        bodies.Added,
        body=Group,
        status=201,
        about="The body is a group as in a fleet file.",
    ),
    Operation(
        "GET",
        "/control/devices/{id}",
        "device",
        "One device with its info.",
        bodies.Device,
    ),
    Operation(
        "GET",
        "/control/devices/{id}/history",
        "device_history",
        "One device over the last two hours, a point a minute.",
        bodies.DeviceHistory,
    ),
    Operation(
        "GET",
        "/control/devices/{id}/log",
        "device_log",
        "The last lines of a device's log.",
        bodies.DeviceLog,
        query=bodies.LogQuery,
        about="In a large fleet, firmware before 2.14 keeps it from the first time on "
        "that somebody asks, and of the last 16 devices that were asked for.",
    ),
    Operation(
        "DELETE", "/control/devices/{id}", "remove_device", "Switch a device off."
    ),
    Operation(
        "POST", "/control/devices/{id}/restart", "restart_device", "Restart a device."
    ),
    Operation(
        "POST",
        "/control/devices/orders",
        "order_devices",
        "Order several devices to do something.",
        bodies.Ordered,
        body=bodies.DevicesOrder,
        about="One that cannot holds no other up; the answer says which, and why.",
    ),
    Operation(
        "GET",
        "/control/pool",
        "pool",
        "What the built-in pool has seen, and where it is.",
        bodies.Pool,
    ),
    Operation(
        "POST",
        "/control/pool/blocks",
        "new_block",
        "Let somebody else find a block; all jobs are stale then.",
        bodies.Pool,
    ),
    Operation(
        "GET",
        "/control/pool/miners",
        "miners",
        "The miners that are connected to the built-in pool.",
        bodies.Miners,
        query=bodies.MinersQuery,
    ),
    Operation(
        "GET", "/control/pool/miners/{miner}", "miner", "One miner.", bodies.Miner
    ),
    Operation(
        "PATCH",
        "/control/pool/miners/{miner}",
        "set_miner",
        "Ask a miner for another difficulty, which goes on by its rate of shares.",
        bodies.Miner,
        body=bodies.MinerChange,
    ),
    Operation(
        "DELETE",
        "/control/pool/miners/{miner}",
        "disconnect_miner",
        "End a miner's connection.",
    ),
    Operation(
        "POST",
        "/control/pool/miners/{miner}/deeds",
        "do_deed",
        "Do something to a miner, once.",
        body=AnyDeed,
        about="docs/pools.md tells what there is.",
    ),
    Operation(
        "GET",
        "/control/faults",
        "faults",
        "The rules, all effects, and presets.",
        bodies.Faults,
    ),
    Operation(
        "POST",
        "/control/faults",
        "add_fault",
        "Add a rule.",
        bodies.Rule,
        query=bodies.FaultQuery,
        body=Fault,
        status=201,
        about="docs/faults.md tells what the effects do. With `dry_run` it answers 200 "
        "and the rule as it would be: its id, and whom it would meet.",
        other={200: bodies.Rule},
    ),
    Operation(
        "PATCH",
        "/control/faults/{id}",
        "change_fault",
        "Change a rule in its place, or pause it.",
        bodies.Rule,
        query=bodies.FaultQuery,
        body=bodies.FaultChange,
        about="Its effect's own members may be given, too; what is left out stays. It "
        "begins again when its effect is told something else or `start_s` is given.",
    ),
    Operation("DELETE", "/control/faults", "clear_faults", "Remove all rules."),
    Operation("DELETE", "/control/faults/{id}", "remove_fault", "Remove a rule."),
    Operation("GET", "/control/clock", "clock", "Device time.", bodies.Clock),
    Operation(
        "PATCH",
        "/control/clock",
        "set_clock",
        "Pause, resume, or set the speed.",
        bodies.Clock,
        body=bodies.ClockChange,
    ),
    Operation(
        "POST",
        "/control/clock/advance",
        "advance",
        "Let device time pass at once.",
        bodies.Clock,
        body=bodies.Advance,
        about="It answers when everything has happened, and ends when its client has "
        "gone. With `wait` false it answers 202 at once, and goes on.",
        other={202: bodies.Begun},
    ),
    Operation(
        "GET",
        "/control/clock/advances/{advance}",
        "advances",
        "How far an advance is that nobody waits for.",
        bodies.Advancing,
    ),
    Operation(
        "DELETE",
        "/control/clock/advances/{advance}",
        "stop_advance",
        "End an advance; the time stays where it is.",
        bodies.Advancing,
    ),
    Operation(
        "GET",
        "/control/journal",
        "journal",
        "The latest requests clients made.",
        bodies.Journal,
        query=bodies.JournalQuery,
    ),
    Operation("DELETE", "/control/journal", "clear_journal", "Forget the requests."),
    Operation(
        "GET",
        "/control/snapshots",
        "snapshots",
        "The snapshots there are.",
        bodies.Snapshots,
    ),
    Operation(
        "POST",
        "/control/snapshots",
        "take_snapshot",
        "Keep the state of all devices under a name.",
        bodies.Snapshot,
        body=bodies.NewSnapshot,
        status=201,
    ),
    Operation(
        "POST",
        "/control/snapshots/{name}/restore",
        "restore",
        "Put the fleet and its clock back.",
        bodies.Clock,
    ),
    Operation(
        "DELETE", "/control/snapshots/{name}", "drop_snapshot", "Forget a snapshot."
    ),
    Operation(
        "POST",
        "/control/reset",
        "reset",
        "Reset the fleet to how it was described.",
        about="Nothing is stored then, and there are no faults and no journal.",
    ),
    Operation("POST", "/control/shutdown", "shutdown", "End the process."),
    Operation(
        "GET", "/control/openapi.json", "openapi", "This document.", bodies.OpenApi
    ),
    Operation(
        "GET",
        "/metrics",
        "metrics",
        "Prometheus metrics of the whole fleet.",
        answer=None,
    ),
)
