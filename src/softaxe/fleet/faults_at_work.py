"""Faults of a fleet at work: whom each rule meets, and when it begins and ends."""

import asyncio
from collections import Counter
from collections.abc import Iterable, KeysView, Mapping
from math import inf
from typing import Any
from weakref import WeakKeyDictionary, WeakValueDictionary

from msgspec.structs import replace

from softaxe.effects import HTTP_EFFECTS, PRESETS, effects_to_json
from softaxe.faults import (
    MOST_NAMED,
    FaultRules,
    HttpFault,
    MetRules,
    Rule,
    Whom,
)
from softaxe.fleet.built_in_pool import BuiltInPool
from softaxe.fleet.clock import Clock
from softaxe.fleet.happenings import Happenings
from softaxe.fleet.turns import in_turns
from softaxe.serve.member import Member, ports_settled
from softaxe.serve.request import Request
from softaxe.stratum.pool import NO_POOL_FAULTS, Miner, PoolFaults

STRANGERS = "strangers"
"""The group of miners at the built-in pool that are no devices of the fleet."""


class FaultsAtWork:
    """Gives devices and connections the faults that rules order.

    Which rules meet whom is known, so one rule more or less costs what it changes,
    however many there are.

    Args:
        members: The devices, by id; the fleet changes them.
        clock: Their time.
        pool: Theirs.
        seed: Of what is left to chance.
        changed: Set when something may be due earlier than it was.
    """

    def __init__(
        self,
        members: Mapping[str, Member],
        clock: Clock,
        pool: BuiltInPool,
        *,
        seed: int,
        changed: asyncio.Event,
        happenings: Happenings | None = None,
    ) -> None:
        self.due = inf
        """Device time at which a rule begins or ends; `apply` then."""
        self._members = members
        self._clock = clock
        self._pool = pool
        self._seed = seed
        self._changed = changed
        self._happenings = happenings or Happenings()
        self._rules = FaultRules(seed)
        self._met: WeakKeyDictionary[Member | Miner, MetRules] = WeakKeyDictionary()
        self._connecting: WeakValueDictionary[str, Member] = WeakValueDictionary()
        """Whose end of a connection stands while the pool's does not."""
        self._changing = asyncio.Lock()

    def __len__(self) -> int:
        """How many rules there are."""
        return len(self._rules.rules)

    @property
    def rules(self) -> FaultRules:
        """What was ordered; only to be looked at."""
        return self._rules

    async def add(self, order: Mapping[str, Any]) -> Rule:
        """Take an order as JSON and TOML write it, and let it work.

        Raises:
            SettingError: A value is not allowed, or there are too many rules.
        """
        async with self._changing:
            rule = self._rules.add(order, self._clock.advance())
            async for member in in_turns(self._members.values()):
                if rule.meets(member.whom):
                    self._met_by(member).add(rule, self._clock.now)
                    self._apply_one(member, rule)
            for stranger in self._strangers():
                if rule.meets(Whom(stranger.name, STRANGERS)):
                    self._met_by(stranger).add(rule, self._clock.now)
                    self._apply_one(stranger, rule)
            self._look_ahead()
            await ports_settled(self._members)
        return rule

    async def change(self, rule_id: str, changes: Mapping[str, Any]) -> Rule:
        """Let a rule be another from now on, as `FaultRules.changed` says.

        Raises:
            KeyError: There is none with this id.
            SettingError: A value is not allowed; nothing has changed.
        """
        async with self._changing:
            rule = self._rules.changed(rule_id, changes, self._clock.advance())
            self._rules.put(rule)
            async for member in in_turns(self._members.values()):
                self._change_one(member, member.whom, rule)
            for stranger in self._strangers():
                self._change_one(stranger, Whom(stranger.name, STRANGERS), rule)
            self._look_ahead()
            await ports_settled(self._members)
        return rule

    def _change_one(self, one: Member | Miner, whom: Whom, rule: Rule) -> None:
        met = self._met_by(one)
        was_met, is_met = rule.id in met.ids, rule.meets(whom)
        if not (was_met or is_met):
            return
        if was_met and is_met:
            met.replace(rule)
        elif was_met:
            met.remove(rule.id)
        else:
            self._met.pop(one)  # it has its place among the others
        self._apply_one(one, rule)

    async def remove(self, rule_id: str) -> None:
        """Take an order back.

        Raises:
            KeyError: There is none with this id.
        """
        async with self._changing:
            rule = self._rules.rules[rule_id]
            self._rules.remove(rule_id)
            async for member in in_turns(self._members.values()):
                if self._met_by(member).remove(rule_id):
                    self._apply_one(member, rule)
            for stranger in self._strangers():
                if self._met_by(stranger).remove(rule_id):
                    self._apply_one(stranger, rule)
            self._look_ahead()
            await ports_settled(self._members)

    async def clear(self) -> None:
        """Take everything back."""
        async with self._changing:
            self._rules.clear()
            self._met.clear()
            await self._apply_all()
            await ports_settled(self._members)

    async def replace(self, rules: FaultRules) -> None:
        """Go on with the rules of a snapshot."""
        async with self._changing:
            self._rules = rules
            self._met.clear()
            await self._apply_all()

    async def start_over(self, orders: Iterable[Mapping[str, Any]] = ()) -> None:
        """Go on with some orders and none of the present ones."""
        await self.replace(FaultRules(self._seed))
        for order in orders:
            await self.add(order)

    async def apply(self) -> None:
        """Let every device and connection have the faults that are due now."""
        async with self._changing:
            await self._apply_all()

    async def _apply_all(self) -> None:
        async for member in in_turns(self._members.values()):
            self.apply_to(member)
        for stranger in self._strangers():
            self._apply_to_stranger(stranger)
        self._look_ahead()

    def _look_ahead(self) -> None:
        now, rules = self._clock.now, self._rules.rules.values()
        self.due = self._rules.next_change(now)
        active = {rule.id: rule.effect for rule in rules if rule.is_active(now)}
        self._happenings.note_faults(now, active)
        self._changed.set()

    def _apply_one(self, whom: Member | Miner, rule: Rule) -> None:
        if rule.effect in HTTP_EFFECTS:
            return  # there is nothing to do until somebody asks
        if isinstance(whom, Member):
            self.apply_to(whom)
        else:
            self._apply_to_stranger(whom)

    def apply_to(self, member: Member) -> None:
        """Give one device, and its line to the built-in pool, the faults of now."""
        met, now = self._met_by(member), self._clock.now
        member.set_faults(met.device_faults(now), met.link_faults(now))
        self._apply_to_pool(member)

    def look_again(self, member: Member) -> None:
        """Find anew which rules meet a device: its firmware may be another."""
        if self._rules.rules:
            self._met.pop(member, None)
            self.apply_to(member)

    def connected(self, member: Member) -> None:
        """A device's line to a pool stands."""
        if self._rules.rules:
            self._apply_to_pool(member, is_new=True)

    def take_up(self, connection: Miner) -> None:
        """A miner has begun to speak to the built-in pool."""
        if not self._rules.rules:
            return
        member = self._connecting.pop(connection.name, None)
        if member is not None:
            self._apply_to_pool(member, is_new=True)
        elif not self._wire_has(connection.name):
            self._apply_to_stranger(connection, is_new=True)

    def http_fault(self, member: Member, request: Request) -> HttpFault | None:
        """What happens to a request that has just come."""
        if not self._rules.rules:
            return None
        return self._rules.http_fault(
            self._met_by(member),
            request.method,
            request.path,
            self._clock.now,
            device=member.id,
            connection_count=member.connection_count,
            is_stream=request.is_websocket,
        )

    def give_back(self, member: Member, rule_id: str) -> None:
        """Do not count a request to which a rule could do nothing."""
        self._rules.give_back(rule_id, member.id, self._clock.now)

    def at_work_on(self, member: Member) -> list[Rule]:
        """The rules that are at work on a device."""
        if not self._rules.rules:
            return []
        now = self._clock.now
        return [
            rule
            for rule in self._met_by(member).active(now)
            if not self._rules.is_spent(rule, member.id, now)
        ]

    def planned(self, order: Mapping[str, Any], rule_id: str | None = None) -> Rule:
        """Return the rule that an order would become, or changes make of one.

        Raises:
            KeyError: There is none with this id.
            SettingError: A value is not allowed.
        """
        now = self._clock.advance()
        if rule_id is None:
            return self._rules.made(order, now)
        return self._rules.changed(rule_id, order, now)

    async def met_by(self, rule: Rule) -> dict[str, Any]:
        """Tell whom a rule meets: devices, and other miners that are there."""
        devices = [
            member.id
            async for member in in_turns(self._members.values())
            if rule.meets(member.whom)
        ]
        strangers = [
            one.name
            for one in self._strangers()
            if rule.meets(Whom(one.name, STRANGERS))
        ]
        return {
            "matches": len(devices) + len(strangers),
            "strangers": len(strangers),
            "devices": (devices + strangers)[:MOST_NAMED],
        }

    async def describe(self) -> dict[str, Any]:
        """Return all rules, whom they meet, all effects there are, and some orders."""
        rules = self._rules.rules
        met, strangers = Counter[str](), Counter[str]()
        named: dict[str, list[str]] = {rule_id: [] for rule_id in rules}
        short = set(named)
        """Rules of which more is to be named."""

        def note(name: str, ids: KeysView[str], counts: Counter[str]) -> None:
            counts.update(ids)
            for rule_id in ids & short:
                named[rule_id].append(name)
                if len(named[rule_id]) == MOST_NAMED:
                    short.remove(rule_id)

        if rules:
            async for member in in_turns(self._members.values()):
                note(member.id, self._met_by(member).ids, met)
            for one in self._strangers():
                note(one.name, self._met_by(one).ids, strangers)
        now = self._clock.now
        told = [
            {
                **rule.to_json(),
                **rule.state_to_json(now),
                "matches": met[rule.id] + strangers[rule.id],
                "strangers": strangers[rule.id],
                "devices": named[rule.id],
            }
            for rule in rules.values()
        ]
        presets = [{"name": name, "rule": rule} for name, rule in PRESETS.items()]
        return {"faults": told, "effects": effects_to_json(), "presets": presets}

    def _met_by(self, whom: Member | Miner) -> MetRules:
        met = self._met.get(whom)
        if met is None:
            if isinstance(whom, Member):
                met = self._rules.that_meet(whom.whom)
            else:
                met = self._rules.that_meet(Whom(whom.name, STRANGERS))
            self._met[whom] = met
        return met

    def _strangers(self) -> list[Miner]:
        server = self._pool.server
        return [] if server is None else server.strangers()

    def _apply_to_pool(self, member: Member, *, is_new: bool = False) -> None:
        """Let the built-in pool treat a device as ordered."""
        server = self._pool.server
        name = member.pool_name
        connection = server.connection(name) if server else None
        if connection is None:
            if self._wire_has(name):  # of TLS the pool's end stands later than ours
                self._connecting[name] = member
            return
        scale = member.device.work_mode.scale
        wanted = self._met_by(member).pool_faults(self._clock.now, scale=scale)
        self._treat(connection, wanted, is_new=is_new)

    def _wire_has(self, name: str) -> bool:
        """True for a connection of one of our devices to the built-in pool."""
        return self._pool.server is not None and self._pool.server.wire.is_own(name)

    def _apply_to_stranger(self, connection: Miner, *, is_new: bool = False) -> None:
        """Let the built-in pool treat a miner that is none of ours as ordered.

        Its address and port stand for a device's id. All it knows of pools is this one.
        """
        met, now = self._met_by(connection), self._clock.now
        links = met.link_faults(now)
        connection.set_silent(is_so=links.is_silent)
        if links.is_primary_down or links.is_fallback_down:
            connection.close("down on order")
        self._treat(connection, met.pool_faults(now), is_new=is_new)

    def _treat(self, connection: Miner, wanted: PoolFaults, *, is_new: bool) -> None:
        """Let the built-in pool give a miner these faults."""
        assert self._pool.server is not None
        if is_new:  # it has connected anew, as it may have been asked to
            connection.faults = replace(NO_POOL_FAULTS, reconnects=wanted.reconnects)
        if wanted != connection.faults:
            connection.set_faults(wanted, self._clock.now)
        self._pool.server.flush(connection.name)
