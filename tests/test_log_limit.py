import random

from softaxe.log_limit import (
    FREE_CHARACTERS,
    FREE_LINES,
    MOST_CHARACTERS,
    MOST_EQUAL,
    MOST_LINES,
    WINDOW_S,
    LogLimit,
)
from softaxe.units import Level


def written(limit: LogLimit, text: str, now: float, level: Level = Level.INFO) -> int:
    return len(limit.lines(level, "tag", text, now))


def test_a_usual_life_passes_untouched() -> None:
    limit, rng = LogLimit(), random.Random(1)

    for number in range(3000):
        text = rng.choice(["message result accepted", f"ID: {number}", "x" * 150])
        line = Level.INFO, "tag", text
        assert limit.lines(*line, now=number / 9) == [line]


def test_what_is_told_ten_times_a_second_is_told_as_it_comes() -> None:
    limit = LogLimit()

    assert all(written(limit, "fault", number / 10) == 1 for number in range(1000))


def test_equal_lines_are_counted_and_told_of_later() -> None:
    limit = LogLimit()
    passed = sum(written(limit, "same", 0.0) for _ in range(10_000))

    assert MOST_EQUAL <= passed <= FREE_LINES + MOST_EQUAL
    note, line = limit.lines(Level.INFO, "tag", "other", WINDOW_S)
    assert note == (Level.INFO, "tag", f"{10_000 - passed} more times: same")
    assert line == (Level.INFO, "tag", "other")
    assert written(limit, "same", 2 * WINDOW_S) == 1


def test_lines_beyond_the_measure_are_counted() -> None:
    limit = LogLimit()
    passed = sum(written(limit, f"line {number}", 0.0) for number in range(10_000))

    assert MOST_LINES <= passed <= FREE_LINES + MOST_LINES
    note, _ = limit.lines(Level.ERROR, "tag", "other", WINDOW_S)
    assert note == (Level.INFO, "softaxe", f"{10_000 - passed} more lines in 10 s")


def test_long_lines_are_bounded_too() -> None:
    limit = LogLimit()
    passed = sum(written(limit, f"{number:03}" * 1000, 0.0) for number in range(500))

    assert passed * 3000 <= FREE_CHARACTERS + MOST_CHARACTERS + 2 * 3000


def test_a_flood_of_one_level_hides_no_other() -> None:
    limit = LogLimit()
    for number in range(10_000):
        written(limit, f"line {number}", 0.0)

    assert written(limit, "seldom", 0.0, Level.ERROR) == 1


def test_a_shown_text_is_cut() -> None:
    limit = LogLimit()
    for _ in range(1000):
        written(limit, "x" * 300, 0.0)

    assert len(limit.lines(Level.INFO, "tag", "y", WINDOW_S)[0][2]) < 250


def test_time_that_goes_back_begins_anew() -> None:
    limit = LogLimit()
    for number in range(10_000):
        written(limit, f"line {number}", 100.0)

    assert written(limit, "line", 0.0) == 2
