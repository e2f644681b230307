import pytest
from tests.each import each

from softaxe.device.faults import DeviceFaults, Sensor, UpdateFault
from softaxe.effects import EFFECTS
from softaxe.errors import SettingError
from softaxe.faults import FaultRules, Whom
from softaxe.units import NEVER

ALL = Whom("601-1", "gammas")


@each(
    ("rule", "complaint"),
    [
        ({}, "effect: None is none of ambient, fan_blocked"),
        ({"effect": "fire"}, "effect: 'fire' is none of"),
        ({"effect": "ambient", "c": 400}, "c: 400 is outside -40..100 °C"),
        ({"effect": "ambient", "c": True}, "c: True is no number"),
        ({"effect": "ambient", "share": 2}, "share: 2 is outside 0..1"),
        ({"effect": "fan_dead", "fan": 1.5}, "fan: 1.5 is no whole number"),
        ({"effect": "fan_dead", "duration_s": -1}, "duration_s: -1 is outside"),
        ({"effect": "fan_dead", "route": "/"}, "route: fan_dead takes effect, fan"),
        ({"effect": "sensor_stuck", "sensor": "x"}, "'x' is none of chip, chip2, vr"),
        ({"effect": "pool_reject", "reason": ""}, "reason: '' is no text"),
        ({"effect": "fan_dead", "id": 7}, "id: 7 is no text"),
        ({"effect": "fan_dead", "id": "a/b"}, "id: 'a/b' cannot be a part of a path"),
        ({"effect": "fan_dead", "id": ".."}, "id: '..' cannot be a part of a path"),
        ({"effect": "fan_dead", "device": ["a", 7]}, "device: 7 is no text of 1 to"),
        ({"effect": "fan_dead", "device": []}, "device: 0 patterns are none of 1.."),
        ({"effect": "fan_dead", "every_s": 60}, "every_s: 60 needs a duration_s"),
    ],
)
def test_what_is_not_allowed_is_told_by_name(
    rule: dict[str, object], complaint: str
) -> None:
    rules = FaultRules()

    with pytest.raises(SettingError) as caught:
        rules.add(rule, 0.0)

    assert complaint in str(caught.value)
    assert rules.rules == {}


def test_every_effect_works_as_it_comes() -> None:
    rules = FaultRules()

    for name in EFFECTS:
        told = {"null": "temp"} if name == "bend" else {}
        rule = rules.add({"effect": name, **told}, 0.0)
        rules.add({"effect": name, **rule.values}, 0.0)
        rules.remove(rule.id)

    assert len(rules.that_meet(ALL).names(1.0)) == len(EFFECTS)


def test_a_rule_begins_and_ends_in_device_time() -> None:
    rules = FaultRules()
    rules.add({"effect": "supply_sag", "v": 1, "start_s": 10, "duration_s": 5}, 100.0)

    active = [
        rules.that_meet(ALL).device_faults(now).sag_v for now in (109, 110, 114.9, 115)
    ]

    assert active == [0, 1, 1, 0]
    assert rules.next_change(100) == 110
    assert rules.next_change(110) == 115
    assert rules.next_change(115) == NEVER


@each("start", [0.0, 0.1, 12345.678])
@each("every", [0.3, 7.0, 60.0])
def test_a_rule_begins_again_so_often(start: float, every: float) -> None:
    rules = FaultRules()
    order = {"effect": "wifi_loss", "duration_s": every / 3, "every_s": every}
    rule = rules.add(order, start)

    now, states = start, [rule.is_active(start)]
    for _ in range(200):
        now = rules.next_change(now)
        states.append(rule.is_active(now))

    assert states == [True, False] * 100 + [True]
    assert now == pytest.approx(start + 100 * every)


def test_a_rule_is_changed_in_its_place() -> None:
    rules = FaultRules()
    rules.add({"id": "x", "effect": "ambient", "c": 50, "duration_s": 60}, 0.0)
    rules.add({"effect": "fan_dead"}, 0.0)

    def change(now: float, **changes: object) -> None:
        rules.put(rules.changed("x", changes, now))

    change(10.0, device=["601-9", "601-1"], paused=True)
    rule = rules.rules["x"]
    assert (rule.begins_at, rule.ends_at, rule.is_active(11.0)) == (0, 60, False)
    assert rules.next_change(11.0) == NEVER
    change(20.0, paused=None, duration_s=90)
    rule = rules.rules["x"]
    assert (rule.begins_at, rule.ends_at, rule.is_active(21.0)) == (0, 90, True)
    change(30.0, c=55, effect="ambient", id="x")
    assert rules.rules["x"].begins_at == 30
    change(40.0, start_s=5)
    rule = rules.rules["x"]
    assert (rule.begins_at, rule.ends_at, list(rules.rules)) == (
        45,
        135,
        ["x", "fault-2"],
    )
    assert rules.that_meet(ALL).device_faults(50.0).ambient_c == 55

    for wrong, complaint in (
        ({"c": 400, "device": "601-2"}, "c: 400 is outside"),
        ({"effect": "fan_dead"}, "effect: 'fan_dead' is not 'ambient', which stays"),
        ({"id": "y"}, "id: 'y' is not 'x', which stays"),
        ({"fan": 1}, "fan: ambient takes effect, c"),
    ):
        with pytest.raises(SettingError, match=complaint):
            change(60.0, **wrong)
    assert rules.rules["x"] is rule


def test_rules_add_up() -> None:
    rules = FaultRules()
    for rule in (
        {"effect": "fan_dead", "fan": 1},
        {"effect": "fan_dead", "fan": 2},
        {"effect": "chip_dead", "chip": 3},
        {"effect": "chip_dead", "chip": 2},
        {"effect": "sensor_stuck", "c": 50},
        {"effect": "sensor_stuck", "sensor": "vr", "c": 60},
        {"effect": "ota_failing", "how": "rolled back"},
    ):
        rules.add(rule, 0.0)

    faults = rules.that_meet(ALL).device_faults(0.0)

    assert faults == DeviceFaults(
        dead_fans=frozenset({1, 2}),
        first_dead_chip=2,
        stuck_c={Sensor.CHIP: 50, Sensor.REGULATOR: 60},
        update=UpdateFault.ROLLED_BACK,
    )


@pytest.mark.unwatched
def test_devices_are_meant_by_pattern_group_and_share() -> None:
    rules = FaultRules()
    rules.add({"id": "a", "effect": "fan_dead", "device": "601-*"}, 0.0)
    rules.add({"id": "b", "effect": "fan_dead", "group": "hex*"}, 0.0)
    rules.add({"id": "c", "effect": "fan_dead", "share": 0.25}, 0.0)

    listed = ["bitaxe-1", "127.0.0.*"]
    rules.add({"id": "d", "effect": "fan_dead", "device": listed}, 0.0)

    for name, is_met in (("Bitaxe-1", True), ("127.0.0.9", True), ("bitaxe-10", False)):
        found = rules.that_meet(Whom("601-7", "gammas", ("", name))).names(0)
        assert ("d" in found) is is_met
    assert "a" in rules.that_meet(Whom("601-7", "gammas")).names(0)
    assert "a" not in rules.that_meet(Whom("302-7", "hexes")).names(0)
    assert "b" in rules.that_meet(Whom("302-7", "hexes")).names(0)
    met = {
        n for n in range(4000) if "c" in rules.that_meet(Whom(f"601-{n}", "g")).names(0)
    }
    assert 900 < len(met) < 1100
    again = {
        n for n in range(4000) if "c" in rules.that_meet(Whom(f"601-{n}", "g")).names(9)
    }
    assert met == again, "always the same ones"


def test_devices_are_meant_by_the_firmware_that_they_run() -> None:
    rules = FaultRules()
    rules.add({"id": "new", "effect": "fan_dead", "firmware": "v2.15*"}, 0.0)
    rules.add({"id": "any", "effect": "fan_dead"}, 0.0)

    def met(firmware: str) -> list[str]:
        return rules.that_meet(Whom("601-1", "g", firmware=firmware)).names(0)

    assert met("2.15.0") == met("2.15.3") == ["new", "any"]
    assert met("2.12.2") == met("") == ["any"]


def test_requests_are_met_by_route_method_and_chance() -> None:
    def draw(seed: int) -> list[str | None]:
        rules = FaultRules(seed)
        met = {"route": "/api/*", "method": "get", "probability": 0.5}
        rules.add({"effect": "status", **met}, 0.0)
        assert (
            rules.http_fault(rules.that_meet(ALL), "POST", "/api/system/restart", 0)
            is None
        )
        assert rules.http_fault(rules.that_meet(ALL), "GET", "/", 0) is None
        found = [
            rules.http_fault(rules.that_meet(ALL), "GET", "/api/theme", 0)
            for _ in range(99)
        ]
        return [None if fault is None else fault.effect for fault in found]

    drawn = draw(1)

    assert 30 < drawn.count("status") < 70
    assert drawn == draw(1), "a run repeats"
    assert drawn != draw(2)


def test_latency_adds_to_what_else_happens() -> None:
    rules = FaultRules()
    rules.add({"effect": "latency", "ms": 200, "jitter_ms": 50}, 0.0)
    rules.add({"effect": "latency", "ms": 1000}, 0.0)
    rules.add({"id": "no", "effect": "status", "code": 503}, 0.0)

    fault = rules.http_fault(rules.that_meet(ALL), "GET", "/api/system/info", 0)

    assert fault is not None
    assert (fault.rule_id, fault.values["code"]) == ("no", 503)
    assert 1.15 <= fault.delay_s <= 1.25


def test_changes_of_an_answer_add_up_beside_what_else_happens() -> None:
    rules = FaultRules()
    rules.add({"id": "a", "effect": "bend", "null": "temp"}, 0.0)
    rules.add({"effect": "latency", "ms": 100}, 0.0)
    rules.add({"id": "b", "effect": "bend", "known": "empty PATCH"}, 0.0)
    rules.add({"id": "c", "effect": "bend", "status": 500}, 0.0)

    fault = rules.http_fault(rules.that_meet(ALL), "GET", "/api/system/info", 0)

    assert fault is not None
    assert [rule_id for rule_id, _ in fault.bends] == ["a", "c"]
    assert (fault.effect, fault.delay_s) == ("latency", 0.1)


def test_a_rule_ends_after_so_many_requests_of_each_device() -> None:
    rules = FaultRules()
    again = {"every_s": 60, "duration_s": 30}
    rules.add({"id": "x", "effect": "status", "count": 2, **again}, 0.0)
    met = rules.that_meet(ALL)

    def ask(device: str, now: float) -> bool:
        return rules.http_fault(met, "GET", "/", now, device=device) is not None

    assert [ask("a", 1.0) for _ in range(3)] == [True, True, False]
    assert ask("b", 1.0), "each device has its own"
    rules.give_back("x", "a", 1.0)
    assert [ask("a", 2.0) for _ in range(2)] == [True, False]
    assert rules.is_spent(rules.rules["x"], "a", 2.0)
    assert ask("a", 61.0), "it has begun again"
    rules.remove("x")
    rules.give_back("x", "a", 62.0)
    rules.add({"id": "x", "effect": "status", "count": 1}, 1.0)
    assert not rules.is_spent(rules.rules["x"], "a", 2.0)


def test_only_the_rule_that_decides_has_met_a_request() -> None:
    rules = FaultRules()
    rules.add({"effect": "timeout", "count": 1}, 0.0)
    rules.add({"effect": "status", "count": 1}, 0.0)
    met = rules.that_meet(ALL)

    found = [rules.http_fault(met, "GET", "/", 0.0, device="a") for _ in range(3)]

    assert [one and one.effect for one in found] == ["timeout", "status", None]


def test_a_rule_that_does_not_strike_leaves_room_for_others() -> None:
    rules = FaultRules()
    rules.add({"effect": "socket_limit", "sockets": 5}, 0.0)
    rules.add({"effect": "truncated_json"}, 0.0)
    rules.add({"effect": "latency", "ms": 200, "jitter_ms": 0}, 0.0)

    def met(connection_count: int, *, is_stream: bool = False) -> tuple[str, float]:
        asked = (rules.that_meet(ALL), "GET", "/api/ws", 0)
        fault = rules.http_fault(
            *asked, connection_count=connection_count, is_stream=is_stream
        )
        assert fault is not None
        return fault.effect, fault.delay_s

    assert met(6) == ("socket_limit", 0.2)
    assert met(5) == ("truncated_json", 0.2)
    assert met(5, is_stream=True) == ("latency", 0.2)


def test_a_pool_difficulty_is_told_in_the_pools_measure() -> None:
    rules = FaultRules()
    rules.add({"effect": "pool_difficulty", "difficulty": 5000}, 0.0)

    assert rules.that_meet(ALL).pool_faults(0, scale=2**32).difficulty == 5000 / 2**32


def test_a_rule_taken_back_is_over() -> None:
    rules = FaultRules()
    rules.add({"id": "x", "effect": "wifi_loss"}, 0.0)

    rules.remove("x")

    assert rules.that_meet(ALL).device_faults(0) == DeviceFaults()
    with pytest.raises(KeyError):
        rules.remove("x")


def test_an_id_stands_for_one_rule() -> None:
    rules = FaultRules()
    rules.add({"id": "x", "effect": "wifi_loss"}, 0.0)

    with pytest.raises(SettingError, match="'x' already"):
        rules.add({"id": "x", "effect": "fan_dead"}, 0.0)


def test_an_id_that_somebody_has_chosen_is_left_out() -> None:
    rules = FaultRules()
    rules.add({"id": "fault-2", "effect": "wifi_loss"}, 0.0)

    added = [rules.add({"effect": "fan_dead"}, 0.0).id for _ in range(3)]

    assert len({"fault-2", *added}) == 4
