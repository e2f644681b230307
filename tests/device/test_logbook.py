from softaxe import Device
from softaxe.device.logbook import KEPT_LINES, LEVELS, Logbook, Ring
from softaxe.log_limit import MOST_EQUAL, WINDOW_S
from softaxe.units import Level


def test_who_looks_again_gets_what_came_since() -> None:
    for has_ring in (False, True):
        log = Logbook()
        log.boot(0.0, has_ring=has_ring)
        for number in range(3):
            log(Level.INFO, "t", "line {n}", n=number)
        lines, end = log.after(0, 2)
        log(Level.INFO, "t", "line 3")
        newer, later = log.after(end, 9)

        assert [line[-1] for line in lines] == ["1", "2"]
        assert [line[-1] for line in newer] == ["3"]
        assert log.after(later, 9) == ([], later)
        assert len(log.after(later + 7, 9)[0]) == 4, "what is not known is told"
        assert not any("\x1b" in line for line in newer)


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


def test_a_ring_is_read_line_by_line_from_the_oldest_whole_one() -> None:
    ring = Ring()
    for number in range(10):
        ring.write(b"line %d\n" % number, 0.0, 25)

    assert b"".join(ring.pieces()) == ring.whole == b"line 7\nline 8\nline 9\n"
    piece, position = ring.read(0)
    assert (piece, position) == (b"line 7\n", 56)
    assert ring.read(ring.written) == (b"", 70)
    assert ring.read(1000) == (b"", 70)


def test_a_long_line_is_read_in_pieces_of_4096_bytes() -> None:
    ring = Ring()
    ring.write(b"x" * 5000 + b"\n", 0.0, 1 << 20)

    assert [len(piece) for piece in ring.pieces()] == [4096, 905]


def test_what_came_since_the_last_look_is_not_seen_yet() -> None:
    ring = Ring()
    ring.write(b"a\n", 10.2, 100)
    ring.write(b"b\n", 10.5, 100)
    ring.write(b"c\n", 10.9, 100)

    assert ring.read(ring.seen(10.99))[0] == b"b\n"
    assert ring.seen(11.0) == ring.written


def test_the_ring_survives_a_restart_but_no_release_without_one() -> None:
    log = Logbook()
    log.boot(0.0, has_ring=True)
    log(Level.INFO, "a", "before")
    log.boot(5.0, has_ring=True)
    log(Level.INFO, "a", "after")

    assert log.ring is not None
    assert log.ring.whole == (
        b"\x1b[0;32mI (0) a: before\x1b[0m\n"
        b"\n--- SYSTEM RESTART ---\n"
        b"\x1b[0;32mI (0) a: after\x1b[0m\n"
    )

    log.boot(9.0, has_ring=False)
    log(Level.INFO, "a", "older")
    log.boot(10.0, has_ring=True)

    assert log.ring.whole == b""


def test_2_8_has_tags_of_its_own() -> None:
    def tags(version: str) -> set[str]:
        device = Device(firmware=version, seed=1)
        device.step(20.0)
        return {line.tag for line in device.log.take()}

    old = {"ADC", "ASIC_task", "SystemModule", "bm1370Module", "vcore.c"}
    assert old <= tags("2.8.1")
    assert not old & tags("2.9.0")


def test_values_fill_a_line_in_for_who_reads_it() -> None:
    log = Logbook()

    log(Level.INFO, "a", "{{{share:.1f}}}", share=0.25)
    log(Level.INFO, "a", "{as it is}")

    assert [line.text for line in log.take()] == ["{0.2}", "{as it is}"]


def test_lines_with_values_are_limited_like_others() -> None:
    log, plain = Logbook(), Logbook()
    for number in range(5000):
        log.now = plain.now = number / 100
        log(Level.INFO, "a", "line {number}", number=number)
        plain(Level.INFO, "a", f"line {number}")

    assert [line.plain for line in log.take()] == [line.plain for line in plain.take()]


def test_lines_that_nobody_takes_are_not_kept() -> None:
    log = Logbook()

    log.levels = (Level.ERROR,)
    log(Level.INFO, "a", "unheard")
    log.levels = LEVELS
    log(Level.INFO, "a", "heard")

    assert [line.text for line in log.take()] == ["heard"]


def test_the_last_lines_are_kept_though_nobody_takes_them() -> None:
    log = Logbook()
    log.levels = ()
    log.keep(2)
    for word in ("a", "b", "c"):
        log(Level.INFO, "main", word)

    assert log.last(9) == "I (0) main: b\nI (0) main: c\n"
    assert log.last(1) == "I (0) main: c\n"
    assert log.take() == []
    log.keep(0)
    log(Level.INFO, "main", "d")
    assert log.last(9) == ""


def test_the_last_lines_of_a_ring_have_no_colours() -> None:
    log = Logbook()
    log.boot(0.0, has_ring=True)
    log(Level.ERROR, "a", "b")
    log(Level.INFO, "a", "c")

    assert log.last(1) == "I (0) a: c\n"
    assert log.last(2).splitlines() == ["E (0) a: b", "I (0) a: c"]
