"""The best nonces: who gets a place, and what is left of them after a restart."""

from softaxe import Device, Pool, Simulation
from softaxe.device.events import SaveSettings
from softaxe.device.scoreboard import KEYS, PLACES, Entry, Scoreboard
from softaxe.device.settings import sift_stored
from softaxe.units import Level


class Board:
    """A scoreboard with its log and what it has stored."""

    def __init__(self, **stored: str) -> None:
        self.lines: list[str] = []
        self.nvs: dict[str, str] = dict(stored)
        self.boot()

    def boot(self) -> None:
        self.scoreboard = Scoreboard()
        self.scoreboard.boot(self.nvs, self.log)

    def log(self, level: Level, tag: str, text: str) -> None:
        self.lines.append(f"{level} {tag}: {text}")

    def offer(self, difficulty: float, extranonce2: str = "00000001") -> list[str]:
        entry = Entry(difficulty, "1d2e", extranonce2, 0x647025B5, 0x0A029ED1, 0x2000)
        rows = self.scoreboard.offer(entry, self.log)
        self.nvs.update(rows)
        return list(rows)

    @property
    def difficulties(self) -> list[float]:
        return [entry.difficulty for entry in self.scoreboard.entries]


def test_better_nonces_push_others_down_and_equal_ones_come_after() -> None:
    board = Board()

    stored = [board.offer(difficulty) for difficulty in (5.0, 7.25, 1.0, 5.0)]

    assert board.difficulties == [7.25, 5.0, 5.0, 1.0]
    assert [len(keys) for keys in stored] == [1, 2, 1, 2]
    assert stored[-1] == ["scoreboard_03", "scoreboard_04"]
    assert board.nvs["scoreboard_01"] == "7.2;1d2e;00000001;1685071285;167943889;8192"
    assert board.lines[1] == (
        "I scoreboard: New #1: Difficulty: 7.2, Job ID: 1d2e, extranonce2: 00000001, "
        "ntime: 1685071285, nonce: 0A029ED1, version_bits: 00002000"
    )


def test_a_full_board_takes_only_what_is_better_than_its_last() -> None:
    board = Board()
    for number in range(PLACES):
        board.offer(float(number + 1))

    assert board.offer(1.0) == []
    assert board.offer(1.5) == [KEYS[-1]]
    assert board.difficulties[-2:] == [2.0, 1.5]
    assert len(board.lines) == PLACES + 1


def test_after_a_restart_a_difficulty_has_one_decimal() -> None:
    board = Board()
    board.offer(1234.5678)

    board.boot()

    assert board.difficulties == [1234.6]


def test_what_has_no_extranonce2_is_lost_at_a_restart_and_long_texts_are_cut() -> None:
    board = Board()
    board.offer(3.0, extranonce2="")
    board.offer(2.0, extranonce2="ab" * 20)

    board.boot()

    (entry,) = board.scoreboard.entries
    assert entry.extranonce2 == ("ab" * 20)[:31]
    lost = "3.0;1d2e;;1685071285;167943889;8192"
    assert board.lines[-1] == (
        f"W scoreboard: Failed to parse scoreboard entry from NVS: {lost}"
    )
    assert board.nvs["scoreboard_01"] == lost


def test_nothing_is_read_behind_an_empty_place() -> None:
    row = "2.0;a;b;1;2;3"

    board = Board(scoreboard_01=row, scoreboard_03=row)

    assert board.difficulties == [2.0]


def test_a_device_keeps_its_best_nonces_where_the_release_has_a_scoreboard() -> None:
    device = Device(firmware="2.14.2", seed=1)
    simulation = Simulation(device, Pool.for_scaled_work(seed=1))
    simulation.advance(40)
    before = list(device.scoreboard.entries)
    log = [line.text for line in device.log.take()]

    device.restart(device.now)
    simulation.advance(1.5)

    assert before[0].difficulty >= before[-1].difficulty
    assert int(before[0].difficulty) == device.best_difficulty
    after = device.scoreboard.entries[: len(before)]
    assert [entry[1:] for entry in after] == [entry[1:] for entry in before]
    assert [f"{a.difficulty:.1f}" for a in before] == [str(b.difficulty) for b in after]
    told = [line for line in log if line.startswith("New #")]
    assert len(told) >= len(before)
    submits = [n for n, line in enumerate(log) if '"mining.submit"' in line]
    assert f"diff {before[0].difficulty:.1f}" in "".join(log[submits[0] + 1 :])


def test_an_older_release_keeps_none_and_leaves_what_is_stored() -> None:
    stored = {"scoreboard_01": "2.0;a;b;1;2;3"}
    device = Device(firmware="2.13.2", seed=1, settings=stored)
    simulation = Simulation(device, Pool.for_scaled_work(seed=1))

    simulation.advance(40)

    assert device.best_difficulty
    assert device.scoreboard.entries == []
    saved = [e for e in simulation.events if isinstance(e, SaveSettings)]
    assert not any(KEYS[0] in event.rows for event in saved)


def test_what_is_stored_is_read_by_the_next_process() -> None:
    stored, complaints = sift_stored({"scoreboard_01": "2.0;a;b;1;2;3"})

    device = Device(firmware="2.15.0", settings=stored)

    assert complaints == []
    assert device.scoreboard.entries == [Entry(2.0, "a", "b", 1, 2, 3)]
