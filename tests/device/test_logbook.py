from softaxe.device.logbook import KEPT_LINES, Logbook
from softaxe.log_limit import MOST_EQUAL, WINDOW_S
from softaxe.units import Level


def test_a_line_looks_as_esp_idf_prints_it() -> None:
    log = Logbook()
    log.now = 12.345

    log(Level.INFO, "stratum_task", "Set pool difficulty: 1000")

    (line,) = log.take()
    expected = "\x1b[0;32mI (12345) stratum_task: Set pool difficulty: 1000\x1b[0m\n"
    assert line.coloured == expected
    assert line.plain == "I (12345) stratum_task: Set pool difficulty: 1000"


def test_errors_are_red_and_warnings_yellow() -> None:
    log = Logbook()

    log(Level.ERROR, "a", "b")
    log(Level.WARNING, "a", "b")

    error, warning = log.take()
    assert error.coloured.startswith("\x1b[0;31mE ")
    assert warning.coloured.startswith("\x1b[0;33mW ")


def test_lines_are_taken_once_and_the_oldest_go_when_nobody_takes_them() -> None:
    log = Logbook()

    for number in range(KEPT_LINES + 10):
        log(Level.INFO, "a", str(number))

    lines = log.take()
    assert len(lines) == KEPT_LINES
    assert lines[0].text == "10"
    assert log.take() == []


def test_a_flood_of_equal_lines_is_counted() -> None:
    log = Logbook()
    taken = []
    for number in range(5000):
        log.now = number / 1000
        log(Level.ERROR, "stratum_api", "Unable to use it")
        taken += log.take()

    log.now = WINDOW_S
    log(Level.INFO, "main", "on")
    note, line = log.take()

    assert len(taken) <= 2 * MOST_EQUAL
    assert note.text == f"{5000 - len(taken)} more times: Unable to use it"
    assert (note.level, note.boot_ms) == (Level.ERROR, 10_000)
    assert line.text == "on"
