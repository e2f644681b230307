import json
import queue
import threading
import time
from contextlib import suppress
from itertools import count as counting
from pathlib import Path

import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.server import ServerConnection, serve

from softaxe.errors import DeviceError
from softaxe.recordings import recorder
from softaxe.recordings.record import Entry
from softaxe.recordings.recorder import record
from softaxe.recordings.replay import load_recording
from softaxe.testing.run import RunningFleet, running


def infos_of(entries: list[Entry]) -> list[Entry]:
    return [entry for entry in entries if entry.path == "/api/system/info"]


def test_a_recording_holds_what_the_device_said(recording: Path) -> None:
    entries = load_recording(recording)

    uptimes = [json.loads(e.body)["uptimeSeconds"] for e in infos_of(entries)]
    assert len(uptimes) >= 4
    assert uptimes == sorted(uptimes)
    assert uptimes[0] < uptimes[-1]
    first = {e.path for e in entries if e.at_s == 0}
    assert first >= {"/api/system/asic", "/api/theme"}
    assert any(e.is_log for e in entries)
    assert "bc1qnp980s5" not in recording.read_text()


def test_nobody_to_record_is_told_and_leaves_no_file(tmp_path: Path) -> None:
    with pytest.raises(DeviceError):
        record("http://127.0.0.1:1", tmp_path / "x", duration_s=1, interval_s=1)

    assert list(tmp_path.iterdir()) == []


def test_a_slow_device_takes_no_longer_than_asked(tmp_path: Path) -> None:
    rounds: list[int] = []
    with running() as bitaxe:
        bitaxe.faults.add("latency", ms=100)
        path = tmp_path / "slow.jsonl"
        record(bitaxe.url, path, duration_s=0.3, interval_s=0.1, tell=rounds.append)

    assert len(rounds) == 1, "the first questions alone, of 100 ms each, take longer"
    assert load_recording(path)


def test_ctrl_c_ends_a_recording_that_can_be_played(
    bitaxe: RunningFleet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(_seconds: float) -> None:
        deadline = time.monotonic() + 10
        while not heard:
            assert time.monotonic() < deadline
            threading.Event().wait(0.01)
        raise KeyboardInterrupt

    def hear(lines: "queue.Queue[Entry]", entry: Entry) -> None:
        put(lines, entry)
        heard.append(entry)

    heard: list[Entry] = []
    put = queue.Queue.put_nowait
    monkeypatch.setattr(queue.Queue, "put_nowait", hear)
    monkeypatch.setattr(time, "sleep", interrupt)

    path = tmp_path / "recordings" / "gamma.jsonl"
    path.parent.mkdir()
    count, is_full = record(bitaxe.url, path, duration_s=60, interval_s=30)

    entries = load_recording(path)
    assert len(entries) == count > 3
    assert not is_full
    assert any(entry.is_log for entry in entries), "what was heard is kept"
    assert list(path.parent.iterdir()) == [path]


def test_a_talkative_device_does_not_fill_the_disk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, bitaxe: RunningFleet
) -> None:
    monkeypatch.setattr(recorder, "MAX_FILE_BYTES", 30_000)

    path = tmp_path / "full"
    done = record(bitaxe.url, path, duration_s=600, interval_s=0.001)

    assert done.is_full
    assert 20_000 < path.stat().st_size <= 30_000
    assert len(load_recording(path)) <= done.entries


def test_lines_that_come_in_pieces_are_kept_whole() -> None:
    """Of a piece alone nobody could tell whether it is a password's end."""
    whole = recorder._Lines(are_in_pieces=True)

    heard = [whole.take(piece) for piece in ("I (1) x: pass", "word\n", "a\n")]
    long = [whole.take("y" * 5000), whole.take("z" * 5000), whole.take("\n")]

    assert heard == [None, "I (1) x: password\n", "a\n"]
    assert long == [None, None, "y" * 5000 + "z" * 3192]


def test_a_log_that_floods_is_cut_and_bounded() -> None:
    lines: queue.Queue[Entry] = queue.Queue(recorder.LOG_LINES)
    is_over = threading.Event()

    def talk(socket: ServerConnection) -> None:
        with suppress(ConnectionClosed):
            for number in counting():
                socket.send(f"I (1) x: {number} " + "y" * 20_000)

    with serve(talk, "127.0.0.1", 0, compression=None) as server:
        serving = threading.Thread(target=server.serve_forever)
        serving.start()
        url = f"http://127.0.0.1:{server.socket.getsockname()[1]}"
        arguments = url, time.monotonic(), is_over, lines, False
        listening = threading.Thread(target=recorder._listen, args=arguments)
        listening.start()
        time.sleep(0.3)
        is_over.set()
        listening.join(60)
        server.shutdown()
        serving.join(60)

    heard = [lines.get_nowait().body for _ in range(lines.qsize())]
    assert 1 < len(heard) < recorder.MOST_CHARACTERS / 8192 + 10
    assert {len(text) for text in heard} == {8192}
