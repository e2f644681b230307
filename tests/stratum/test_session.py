import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.each import each
from tests.pool_lines import NOTIFY, SUBSCRIBED

from softaxe.catalog.firmware import firmware
from softaxe.stratum.session import (
    DifficultySet,
    Event,
    ExtranonceSet,
    NotifyReceived,
    ReconnectRequested,
    Session,
    SetupAccepted,
    SetupRejected,
    ShareAccepted,
    ShareRejected,
    SubscribeRefused,
    VersionMaskSet,
)
from softaxe.units import Level

REFUSALS = [
    ({"id": 2, "error": None, "result": None}, "result has no extranonce"),
    ({"id": 2, "error": [20, "banned", None], "result": None}, "banned"),
    ({"id": 2, "error": [20, "banned", None]}, "banned"),
    ({"id": 2, "error": None, "result": [[], "e9695791", -1]}, "extranonce2 size -1"),
    ({"id": 2, "error": None, "result": True}, "no extranonce"),
    ({"id": 2, "error": None, "result": False, "reject-reason": "no"}, "no"),
]


class Bench:
    """A connected session and what it said and told."""

    def __init__(
        self,
        *,
        suggested: int = 1000,
        extranonce: bool = False,
        scale: int = 1,
        before: ExtranonceSet | None = None,
        must_subscribe: bool = True,
        tracks_shares: bool = False,
        tells_small: bool = False,
        version: str = "2.12.2",
    ) -> None:
        self.lines: list[str] = []
        self.session = Session(
            rows=firmware(version).rows,
            asic_model="BM1370",
            firmware_version=f"v{version}",
            user="bc1qexample.bitaxe",
            password="geheim",
            suggested_difficulty=suggested,
            wants_extranonce_subscribe=extranonce,
            scale=scale,
            extranonce=before,
            must_subscribe=must_subscribe,
            tracks_shares=tracks_shares,
            tells_small=tells_small,
            log=self.log,
        )
        self.session.connected(0.0)

    def log(self, level: Level, tag: str, text: str) -> None:
        self.lines.append(f"{level} {tag}: {text}")

    def sent(self) -> list[str]:
        return self.session.data_to_send().decode().splitlines()

    def says(self, message: dict[str, Any], now: float = 1.0) -> list[Event]:
        return self.says_bytes(json.dumps(message).encode() + b"\n", now)

    def says_bytes(self, data: bytes, now: float = 1.0) -> list[Event]:
        self.session.receive(data, now)
        return self.session.events()

    def submit(self, now: float = 2.0) -> int:
        return self.session.submit(
            job_id="1",
            extranonce2=b"\x01\x00",
            ntime=0x647025B5,
            nonce=0x0A029ED1,
            version_bits=0x2000,
            now=now,
        )


def accepted(message_id: int) -> dict[str, Any]:
    return {"id": message_id, "result": True, "error": None}


def test_a_connection_opens_with_three_lines(vectors: dict[str, Any]) -> None:
    sent = Bench().sent()

    assert sent[:2] == vectors["tx_lines_v2_12_2"][:2]
    assert sent[2] == vectors["tx_lines_v2_12_2"][2].replace('"x"', '"geheim"')
    assert len(sent) == 3


def test_the_password_is_never_logged() -> None:
    bench = Bench()

    assert not any("geheim" in line for line in bench.lines)
    assert any('"bc1qexample.bitaxe", "*****"]' in line for line in bench.lines)


@each(
    ("suggested", "extranonce", "ids_and_methods", "first_share"),
    [
        (1000, False, [(4, "suggest_difficulty")], 5),
        (
            1000,
            True,
            [
                (4, "suggest_difficulty"),
                (5, "extranonce.subscribe"),
                (6, "extranonce.subscribe"),
            ],
            7,
        ),
        (0, False, [], 4),
    ],
)
def test_ids_after_the_setup_are_the_firmware_s(
    suggested: int,
    extranonce: bool,
    ids_and_methods: list[tuple[int, str]],
    first_share: int,
) -> None:
    bench = Bench(suggested=suggested, extranonce=extranonce)
    bench.sent()
    bench.says(accepted(3))
    if suggested:
        bench.says(accepted(4))

    sent = [json.loads(line) for line in bench.sent()]

    assert [(m["id"], m["method"].removeprefix("mining.")) for m in sent] == (
        ids_and_methods
    )
    assert bench.submit() == first_share


def test_a_share_is_submitted_to_the_letter() -> None:
    bench = Bench()
    bench.says(accepted(3))
    bench.sent()
    bench.submit()

    assert bench.sent() == [
        '{"id": 5, "method": "mining.submit", "params": ["bc1qexample.bitaxe", "1", '
        '"0100", "647025b5", "0a029ed1", "00002000"]}'
    ]


def test_answers_to_low_ids_are_setup_and_to_high_ones_shares() -> None:
    bench = Bench()

    assert bench.says(accepted(4)) == [SetupAccepted()]
    assert bench.says(accepted(5)) == [ShareAccepted()]
    refused = {"id": 6, "result": None, "error": [21, "Job not found", None]}
    assert bench.says(refused) == [ShareRejected("Job not found")]
    refused["id"] = 3
    assert bench.says(refused) == [SetupRejected("Job not found")]


@each("version", ["2.8.1", "2.12.2", "2.13.2", "2.14.2", "2.15.0"])
def test_where_submits_are_tracked_their_answers_and_no_others_are_shares_s(
    version: str,
) -> None:
    bench = Bench(version=version, suggested=0, tracks_shares=True)
    for number in (1, 2, 3):
        bench.says(accepted(number))
    shares = [bench.submit(), bench.submit()]
    refused = {"id": shares[1], "result": None, "error": [21, "Stale", None]}

    assert bench.says(accepted(shares[0])) == [ShareAccepted()]
    assert bench.says(refused) == [ShareRejected("Stale")]
    assert bench.says(accepted(shares[0])) == [SetupAccepted()]


def test_extranonces_are_asked_for_no_more_than_the_firmware_does() -> None:
    bench = Bench(suggested=0, extranonce=True, tracks_shares=True)
    bench.says(accepted(3))
    bench.says(accepted(4))
    assert len(bench.sent()) == 5

    assert bench.says(accepted(5)) == [SetupAccepted()]
    assert bench.sent() == []


def test_a_reject_reason_beside_false_is_taken() -> None:
    bench = Bench()
    message = {"id": 9, "result": False, "error": None, "reject-reason": "Above target"}

    assert bench.says(message) == [ShareRejected("Above target")]
    assert bench.lines[-1] == ("W stratum_task: message result rejected: Above target")


def test_an_error_without_result_counts_nothing() -> None:
    assert Bench().says({"id": 9, "error": [21, "Job not found", None]}) == []


def test_the_setup_is_taken_up() -> None:
    bench = Bench()
    mask = {"version-rolling": True, "version-rolling.mask": "1fffe000"}

    first = bench.says({"id": 1, "error": None, "result": mask})
    second = bench.says({"id": 2, "error": None, "result": [[], "e9695791", 4]})

    assert first == [VersionMaskSet(0x1FFFE000)]
    assert second == [ExtranonceSet(bytes.fromhex("e9695791"), 4)]
    assert "I stratum_task: Set version mask: 1fffe000" in bench.lines
    assert (
        "I stratum_task: Set extranonce: e9695791, extranonce_2_len: 4" in bench.lines
    )


def test_a_notify_may_come_before_the_authorize_answer() -> None:
    bench = Bench()
    bench.says(SUBSCRIBED)
    (event,) = bench.says(NOTIFY)

    assert isinstance(event, NotifyReceived)
    assert event.network_difficulty == pytest.approx(49549703178592.68)


@each(("answer", "reason"), REFUSALS)
@each(("version", "tag"), [("2.12.2", "stratum_task"), ("2.15.0", "stratum_v1_task")])
def test_without_an_extranonce_there_is_nothing_to_mine(
    version: str, tag: str, answer: dict[str, Any], reason: str
) -> None:
    bench = Bench(version=version)

    assert bench.says(answer) == [SubscribeRefused(reason)]
    assert f"E {tag}: setup message rejected: {reason}" in bench.lines
    assert bench.says(NOTIFY) == []
    assert bench.lines[-1].startswith(f"E {tag}: job without an extranonce: ")
    bench.says({"method": "mining.set_extranonce", "params": ["aaaaaaaa", 8]})
    assert len(bench.says(NOTIFY)) == 1


@each("answer", [answer for answer, _ in REFUSALS])
@each("before", [None, ExtranonceSet(b"old", 4)])
def test_the_firmware_goes_on_with_the_extranonce_that_it_had(
    answer: dict[str, Any], before: ExtranonceSet | None
) -> None:
    bench = Bench(must_subscribe=False, before=before)

    events = [*bench.says(answer), *bench.says(NOTIFY)]

    assert not any(isinstance(event, SubscribeRefused) for event in events)
    notify = events[-1]
    assert isinstance(notify, NotifyReceived)
    is_kept = answer.get("result") == [[], "e9695791", -1]
    kept = ExtranonceSet(bytes.fromhex("e9695791"), -1)
    assert notify.extranonce == (kept if is_kept else before)


@pytest.mark.parametrize("must_subscribe", [True, False])
def test_an_extranonce_of_a_size_below_0_changes_nothing_or_is_of_the_most(
    *, must_subscribe: bool
) -> None:
    bench = Bench(must_subscribe=must_subscribe)
    bench.says(SUBSCRIBED)

    events = bench.says({"method": "mining.set_extranonce", "params": ["aaaa", -1]})

    assert events == ([] if must_subscribe else [ExtranonceSet(b"\xaa" * 2, 32)])


@pytest.mark.parametrize("is_cut", [False, True])
def test_a_job_has_what_was_in_force_when_it_came(*, is_cut: bool) -> None:
    lines = [
        {"method": "mining.set_difficulty", "params": [4096]},
        {"method": "mining.set_extranonce", "params": ["aaaaaaaa", 8]},
        {"method": "mining.set_version_mask", "params": ["1fffe000"]},
        NOTIFY,
        {"method": "mining.set_difficulty", "params": [512]},
        {"method": "mining.set_extranonce", "params": ["bbbbbbbb", 4]},
        {"method": "mining.set_version_mask", "params": ["00ffe000"]},
        NOTIFY,
    ]
    data = b"".join(json.dumps(line).encode() + b"\n" for line in lines)
    bench = Bench()

    parts = [data[n : n + 7] for n in range(0, len(data), 7)] if is_cut else [data]
    events = [event for part in parts for event in bench.says_bytes(part)]

    first, second = (e for e in events if isinstance(e, NotifyReceived))
    assert (first.pool_difficulty, first.version_mask) == (4096, 0x1FFFE000)
    assert first.extranonce == ExtranonceSet(b"\xaa" * 4, 8)
    assert (second.pool_difficulty, second.version_mask) == (512, 0x00FFE000)
    assert second.extranonce == ExtranonceSet(b"\xbb" * 4, 4)


def test_difficulties_are_scaled_in_and_out_and_nowhere_else() -> None:
    bench = Bench(scale=2**32)
    bench.says(accepted(3))
    suggestion = json.loads(bench.sent()[-1])
    difficulty = {"method": "mining.set_difficulty", "params": [1000 / 2**32]}

    assert suggestion["params"] == [1000 / 2**32]
    assert bench.says(difficulty) == [DifficultySet(1000.0)]
    assert bench.session.pool_difficulty == 1000
    assert bench.lines[-1] == "I stratum_task: Set pool difficulty: 1000"
    bench.says(SUBSCRIBED)
    (event,) = bench.says(NOTIFY)
    assert isinstance(event, NotifyReceived)
    assert event.network_difficulty == pytest.approx(49549703178592.68 * 2**32)


def test_a_fractional_difficulty_is_kept_exactly() -> None:
    bench = Bench()

    bench.says({"method": "mining.set_difficulty", "params": [0.5]})

    assert bench.session.pool_difficulty == 0.5
    assert bench.lines[-1] == "I stratum_task: Set pool difficulty: 0"


@each(
    ("version", "line"),
    [
        ("2.8.1", "Set stratum difficulty: 0.5"),
        ("2.12.2", "Set pool difficulty: 0.5"),
        ("2.15.0", "Set pool difficulty: 0.50"),
    ],
)
def test_the_log_tells_a_difficulty_below_1(version: str, line: str) -> None:
    bench = Bench(version=version, tells_small=True)

    bench.says({"method": "mining.set_difficulty", "params": [0.5]})

    assert bench.lines[-1].endswith(line)


def test_response_time_is_from_submit_to_answer() -> None:
    bench = Bench()
    bench.says(accepted(3), now=0.25)
    assert bench.session.response_time_s == 0.25
    number = bench.submit(now=10.0)
    bench.says(NOTIFY, now=10.01)

    bench.says(accepted(number), now=10.125)

    assert bench.session.response_time_s == 0.125
    assert "I stratum_task: Stratum response time: 125.00 ms" in bench.lines


def test_a_reconnect_is_passed_on() -> None:
    message = {"method": "client.reconnect", "params": []}

    assert Bench().says(message) == [ReconnectRequested()]


def test_several_lines_in_one_packet_and_one_line_in_many() -> None:
    bench = Bench()
    line = json.dumps(accepted(5)).encode()

    assert bench.says_bytes(line + b"\r\n" + line + b"\n" + line[:9]) == [
        ShareAccepted(),
        ShareAccepted(),
    ]
    assert bench.says_bytes(line[9:]) == []
    assert bench.says_bytes(b"\n") == [ShareAccepted()]


def test_broken_and_over_long_lines_are_dropped_with_a_log_line() -> None:
    bench = Bench()

    assert bench.says_bytes(b"{oops}\n") == []
    assert bench.lines[-1].startswith(
        "E stratum_api: Unable to use stratum message: not JSON"
    )
    assert bench.says_bytes(b"x" * 70_000 + b"\n") == []
    assert bench.lines[-1] == "E stratum_api: line over 65536 bytes dropped"
    assert bench.says(accepted(5)) == [ShareAccepted()]


def test_what_the_firmware_has_no_use_for_is_only_logged() -> None:
    bench = Bench()

    assert bench.says({"id": 7, "method": "mining.ping", "params": []}) == []
    assert "unhandled method in stratum message" in bench.lines[-1]
    assert bench.session.data_to_send().count(b"\n") == 3  # nothing but the opening


@given(st.binary(max_size=400))
def test_any_bytes_are_survived(data: bytes) -> None:
    Bench().says_bytes(data + b"\n")


OPENING = "configure 1, subscribe 2, authorize 3"
SUGGESTED = "suggest_difficulty 4 [1000]"


@each(
    ("version", "suggested", "setup"),
    [
        ("2.8.1", 0, f"{OPENING}, {SUGGESTED}"),
        (
            "2.9.0",
            0,
            f"{OPENING}, suggest_difficulty 4 [0], extranonce.subscribe 5 [], "
            "extranonce.subscribe 6 []",
        ),
        (
            "2.13.2",
            1000,
            f"{OPENING}, {SUGGESTED}, extranonce.subscribe 5 [], "
            "extranonce.subscribe 6 []",
        ),
        (
            "2.13.2",
            0,
            f"{OPENING}, extranonce.subscribe 4 [], extranonce.subscribe 5 []",
        ),
        (
            "2.14.2",
            1000,
            f"{OPENING}, {SUGGESTED}, extranonce.subscribe 5 [], "
            "extranonce.subscribe 6 []",
        ),
        ("2.15.0", 1000, f"{OPENING}, {SUGGESTED}, extranonce.subscribe 5 []"),
    ],
)
def test_every_version_sets_up_in_its_own_order(
    version: str, suggested: int, setup: str
) -> None:
    bench = Bench(version=version, suggested=suggested, extranonce=True)
    bench.says(accepted(3))
    bench.says(accepted(4))

    sent = bench.sent()

    shown = []
    for line in sent:
        message = json.loads(line)
        name, number = message["method"].removeprefix("mining."), message["id"]
        params = f" {message['params']}" if number > 3 else ""
        shown.append(f"{name} {number}{params}")
    assert ", ".join(shown) == setup
    assert (": " in sent[0]) is (version in ("2.8.1", "2.9.0"))


@each(
    ("version", "early", "unknown"),
    [
        ("2.8.1", SetupAccepted(), ShareAccepted()),
        ("2.13.2", SetupAccepted(), ShareAccepted()),
        ("2.14.2", SetupAccepted(), None),
        ("2.15.0", ShareAccepted(), SetupAccepted()),
    ],
)
def test_every_version_tells_answers_to_shares_in_its_own_way(
    version: str, early: Event, unknown: Event | None
) -> None:
    bench = Bench(version=version, suggested=0)
    bench.says(accepted(3))
    first = 5 if version == "2.8.1" else 4
    while bench.submit() < 5:
        pass
    last = bench.submit()

    if first == 4:
        assert bench.says(accepted(4)) == [early]
    assert bench.says(accepted(last)) == [ShareAccepted()]
    assert bench.says(accepted(last + 1)) == ([] if unknown is None else [unknown])


@each(
    ("version", "timed", "line"),
    [
        ("2.8.1", (None, 0.25, 0.125), None),
        ("2.12.2", (0.5, 0.25, 0.125), "125.00 ms"),
        ("2.13.2", (None, 0.25, 0.125), "125.0 ms"),
        ("2.14.2", (None, 0.25, 0.25), "250.0 ms"),
    ],
)
def test_every_version_times_other_answers(
    version: str, timed: tuple[float | None, ...], line: str | None
) -> None:
    bench, seen = Bench(version=version), []
    bench.says(accepted(3), now=0.5)
    seen.append(bench.session.response_time_s)
    bench.submit(now=1.0)  # has an id of the set-up in some
    number = bench.submit(now=1.0)
    bench.says(accepted(number), now=1.25)
    seen.append(bench.session.response_time_s)
    number = bench.submit(now=2.0)
    refused = {"id": number, "result": None, "error": [21, "Job not found", None]}
    bench.says(refused, now=2.125)
    seen.append(bench.session.response_time_s)

    assert tuple(seen) == timed
    times = [text for text in bench.lines if "response time" in text]
    assert line is None or times[-1].endswith(line)
    assert bool(times) is (line is not None)


def test_a_job_that_came_before_is_ignored_until_a_clean_one_from_2_15_on() -> None:
    bench, old = Bench(version="2.15.0"), Bench(version="2.14.2")
    job = json.loads(json.dumps(NOTIFY).replace("true", "false"))
    jobs = [job, job]
    for one in (bench, old):
        one.says(SUBSCRIBED)
    lines = [*jobs, NOTIFY, *jobs]

    taken = [len(bench.says(line)) for line in lines]

    assert taken == [1, 0, 1, 0, 0]
    assert "W stratum_v1_task: Ignoring duplicate notify for job 1" in bench.lines
    assert [len(old.says(line)) for line in lines] == [1] * 5


def test_what_else_a_pool_says_is_answered_from_some_version_on() -> None:
    said: list[dict[str, Any]] = [
        {"id": 7, "method": "mining.ping", "params": []},
        {"id": 10, "method": "client.get_version", "params": []},
        {"id": None, "method": "client.show_message", "params": ["a" * 300]},
    ]
    pong = '{"id":7,"method":"pong","params":[]}'
    answers: dict[str, list[str]] = {
        "2.12.2": [],
        "2.13.2": [pong],
        "2.14.2": [pong],
        "2.15.0": [pong, '{"id":10,"result":"v2.15.0","error":null}'],
    }

    for version, answer in answers.items():
        bench = Bench(version=version)
        bench.sent()
        assert [bench.says(message) for message in said] == [[], [], []]
        assert bench.sent() == answer
        is_logged = f"I stratum_api: Pool message: {'a' * 256}..." in bench.lines
        assert is_logged is (version in ("2.14.2", "2.15.0"))


@each(
    ("version", "lines"),
    [
        ("2.8.1", ["Set stratum difficulty: 100"]),
        ("2.9.0", ["Set pool difficulty: 8192", *["Set pool difficulty: 100"] * 2]),
        (
            "2.15.0",
            ["Set pool difficulty: 8192.00", *["Set pool difficulty: 100.50"] * 2],
        ),
    ],
)
def test_every_version_logs_difficulties_in_its_own_words(
    version: str, lines: list[str]
) -> None:
    bench = Bench(version=version)
    bench.says(SUBSCRIBED)
    (first,) = bench.says(NOTIFY)
    for difficulty in (8192, 100.5, 100.5):
        bench.says({"method": "mining.set_difficulty", "params": [difficulty]})

    said = [line.partition(": ")[2] for line in bench.lines if "ifficulty: " in line]
    assert said == lines
    assert isinstance(first, NotifyReceived)
    assert first.pool_difficulty == (8192 if version == "2.8.1" else 0)


@each(("version", "size"), [("2.8.1", None), ("2.9.0", 40), ("2.10.1", 32)])
def test_an_extranonce_of_the_pool_s_is_taken_from_2_9_on_and_cut_from_2_10_on(
    version: str, size: int | None
) -> None:
    bench = Bench(version=version)
    events = bench.says({"method": "mining.set_extranonce", "params": ["aa", 40]})

    assert events == ([] if size is None else [ExtranonceSet(b"\xaa", size)])


@each(
    ("answer", "reason"),
    [
        ({"error": {"code": 22, "message": "duplicate share"}}, "duplicate share"),
        ({"error": [21, "Job not found"]}, "Job not found"),
        ({"error": "Stale", "result": None}, "Stale"),
        ({"error": {"code": 22}, "result": False}, "unknown"),
    ],
)
@each("version", ["2.14.2", "2.15.0"])
def test_from_2_14_on_an_error_is_a_refusal_however_it_is_spelt(
    version: str, answer: dict[str, Any], reason: str
) -> None:
    bench = Bench(version=version)
    bench.says(accepted(3))
    number = bench.submit()

    assert bench.says({"id": number, **answer}) == [ShareRejected(reason)]
