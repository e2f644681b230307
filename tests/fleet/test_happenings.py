"""What has happened in a fleet: marks that say when, what and to whom."""

from softaxe.fleet.happenings import MOST_HAPPENINGS, Happenings
from softaxe.testing.run import running


def test_what_happens_to_many_at_once_is_one_mark() -> None:
    happenings = Happenings()
    for number in range(3):
        happenings.note(10.0 + number, "restart", "panic", f"601-{number}")
    happenings.note(15.0, "restart", "brownout", "601-9")
    happenings.note(30.0, "restart", "panic", "601-1")

    told = [
        (one.now, one.label, one.device, one.devices) for one in happenings.to_json()
    ]
    assert told == [
        (10.0, "panic", "601-0", 3),
        (15.0, "brownout", "601-9", 1),
        (30.0, "panic", "601-1", 1),
    ]
    happenings.restart(20.0)
    assert [one.now for one in happenings.to_json()] == [10.0, 15.0]


def test_only_so_many_are_kept() -> None:
    happenings = Happenings()
    for number in range(MOST_HAPPENINGS + 5):
        happenings.note(number * 20.0, "block", "", "601-1")

    kept = happenings.to_json()
    assert (len(kept), next(iter(kept)).now) == (MOST_HAPPENINGS, 100.0)


def test_a_fleet_marks_faults_settings_and_restarts_but_tells_no_secret() -> None:
    with running(speed=0) as fleet:
        fleet.faults.add("silent", start_s=30, duration_s=60)
        fleet.clock.advance(120)
        fleet[0].patch(frequency=500, stratumPassword="hidden")
        fleet[0].restart()
        fleet.clock.advance(20)

        found = fleet.call(lambda one: one.history.to_json())["happenings"]

    told = [(one["kind"], one["label"]) for one in found]
    assert told[:2] == [("fault", "silent begins"), ("fault", "silent ends")]
    assert set(told[2:4]) == {
        ("setting", "frequency: 525.0 \N{RIGHTWARDS ARROW} 500.0"),
        ("setting", "stratumPassword"),
    }
    assert told[4] == ("restart", "Software reset via esp_restart")
    assert abs(found[1]["now"] - found[0]["now"] - 60) < 0.5
    assert (found[0]["devices"], found[4]["devices"]) == (0, 1)
