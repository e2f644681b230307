import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.each import each

from softaxe.catalog.firmware import firmware
from softaxe.catalog.firmware.rows import Rows
from softaxe.errors import StratumError
from softaxe.stratum import messages
from softaxe.stratum.messages import (
    Answer,
    GetVersion,
    LineSplitter,
    NoExtranonce,
    Notify,
    Ping,
    Reconnect,
    SetDifficulty,
    SetExtranonce,
    SetVersionMask,
    ShowMessage,
    Subscribed,
    Unhandled,
    swap_words,
)

ROWS = firmware().rows
NEWEST = firmware("2.15.0").rows


def parse(line: bytes, rows: Rows = ROWS) -> messages.Message:
    return messages.parse(line, rows)


def check_notify(message: messages.Message, vector: dict[str, Any]) -> None:
    assert isinstance(message, Notify)
    assert message.is_clean is vector["clean_jobs"]
    if "job_id" in vector:
        assert message.job_id == vector["job_id"]
        assert swap_words(message.prevhash).hex() == vector["prev_block_hash"]
        assert message.coinbase1.hex() == vector["coinbase_1"]
        assert message.coinbase2.hex() == vector["coinbase_2"]
        assert message.version == int(vector["version"], 16)
        assert message.nbits == int(vector["nbits"], 16)
        assert message.ntime == int(vector["ntime"], 16)


def test_every_line_of_the_reference_is_read_as_the_firmware_reads_it(
    vectors: dict[str, Any],
) -> None:
    for vector in vectors["parse_v2_12_2"]:
        message = parse(vector["line"].encode())
        match vector["method"]:
            case "mining.notify":
                check_notify(message, vector)
            case "mining.set_difficulty":
                assert message == SetDifficulty(vector["difficulty"])
            case "mining.set_version_mask" | "configure-result":
                assert message == SetVersionMask(int(vector["version_mask"], 16))
            case "subscribe-result":
                extranonce1 = bytes.fromhex(vector["extranonce1"])
                size = vector["extranonce2_len"]
                assert message == Subscribed(extranonce1, size)
            case "result" | "result-setup":
                assert message == Answer(vector["message_id"], vector.get("error"))
                assert vector["success"] is ("error" not in vector)
            case "ignored":
                assert isinstance(message, Unhandled)
            case other:
                pytest.fail(f"unknown kind of vector: {other}")


NEWER_METHODS = ("client.show_message", "client.get_version", "mining.ping")
"""Out of scope: v2.12.2 has no use for them."""
NEWER_REASONS = ("Stale", "duplicate share")
"""Out of scope: errors that are no arrays, which v2.12.2 calls unknown or ignores."""


def test_lines_of_newer_firmware_s_tests_are_read_as_v2_12_2_reads_them(
    vectors: dict[str, Any],
) -> None:
    for vector in vectors["parse_newest"]:
        line, reason = vector["line"].encode(), vector.get("error")
        if json_method(line) in (*NEWER_METHODS, "mining.hashrate"):
            assert isinstance(parse(line), Unhandled)
        elif reason in NEWER_REASONS:
            assert parse(line) in (Answer(618, "unknown"), Unhandled(""))
        elif vector["method"] == "parse-failure" and '"id":2' in vector["line"]:
            assert isinstance(parse(line), NoExtranonce)
        elif vector["method"] == "parse-failure":
            with pytest.raises(StratumError):
                parse(line)
        else:
            check_newer(parse(line), vector)


def test_lines_of_the_newest_firmware_s_tests_are_read_as_it_reads_them(
    vectors: dict[str, Any],
) -> None:
    for vector in vectors["parse_newest"]:
        line = vector["line"].encode()
        match vector["method"]:
            case "parse-failure" if '"id":2' in vector["line"]:
                assert isinstance(parse(line, NEWEST), NoExtranonce)
            case "parse-failure" if "mining.hashrate" in vector["line"]:
                assert isinstance(parse(line, NEWEST), Unhandled)
            case "parse-failure":
                with pytest.raises(StratumError):
                    parse(line, NEWEST)
            case "mining.ping":
                assert parse(line, NEWEST) == Ping(-1)
            case "client.get_version":
                assert parse(line, NEWEST) == GetVersion(vector["message_id"])
            case "client.show_message":
                assert parse(line, NEWEST) == ShowMessage(vector["message"])
            case "configure-result":
                mask = int(vector["version_mask"], 16)
                assert parse(line, NEWEST) == SetVersionMask(mask, is_answer=True)
            case "result" if (
                vector.get("error") == "Stale" and "false" in line.decode()
            ):
                assert parse(line, NEWEST) == Answer(618, "Stale")
            case _:
                check_newer(parse(line, NEWEST), vector)


@each(
    ("line", "by_2_14", "by_2_15"),
    [
        (
            b'{"id":9,"result":[[],"ab",4],"error":null}',
            Unhandled("unhandled result in stratum message"),
            Subscribed(b"\xab", 4),
        ),
        (
            b'{"id":9,"result":{"version-rolling":true,"version-rolling.mask":"ff"}}',
            Unhandled("unhandled result in stratum message"),
            SetVersionMask(255, is_answer=True),
        ),
        (
            b'{"id":1,"result":{"version-rolling.mask":"ff"}}',
            SetVersionMask(255),
            None,
        ),
        (
            b'{"id":9,"result":null,"error":null}',
            Unhandled("unhandled result in stratum message"),
            None,
        ),
        (b'{"id":9,"error":{"code":2}}', Answer(9, "unknown"), Answer(9, "unknown")),
        (b'{"id":9,"error":[1,"no"]}', Answer(9, "no"), Answer(9, "no")),
    ],
)
def test_answers_are_told_by_id_up_to_2_14_and_by_shape_from_2_15(
    line: bytes, by_2_14: messages.Message, by_2_15: messages.Message | None
) -> None:
    assert parse(line, firmware("2.14.2").rows) == by_2_14
    if by_2_15 is None:
        with pytest.raises(StratumError):
            parse(line, NEWEST)
    else:
        assert parse(line, NEWEST) == by_2_15


def json_method(line: bytes) -> object:
    try:
        return json.loads(line).get("method")
    except ValueError:
        return None


def check_newer(message: messages.Message, vector: dict[str, Any]) -> None:
    match vector["method"]:
        case "mining.set_difficulty":
            assert message == SetDifficulty(vector["difficulty"])
        case "subscribe-result" | "mining.set_extranonce" as method:
            kind = Subscribed if method == "subscribe-result" else SetExtranonce
            extranonce1 = bytes.fromhex(vector["extranonce1"])
            assert message == kind(extranonce1, vector["extranonce2_len"])
        case "result":
            assert message == Answer(vector["message_id"], vector.get("error"))
        case "client.reconnect":
            assert message == Reconnect()
        case "configure-result":
            assert message == SetVersionMask(int(vector["version_mask"], 16))
        case other:
            pytest.fail(f"unknown kind of vector: {other}")


def test_hexadecimal_is_read_and_written_as_in_the_reference(
    vectors: dict[str, Any],
) -> None:
    even, odd = vectors["utils"]["hex2bin"]
    line = '{"id":1,"method":"mining.set_extranonce","params":["%s",4]}'
    for vector in (even, odd):
        read = parse((line % vector["hex"]).encode())
        assert read == SetExtranonce(bytes(vector["expected"]), 4)

    (vector,) = vectors["utils"]["bin2hex"]
    written = messages.submit_line(
        5,
        user="a",
        job_id="1",
        extranonce2=bytes(vector["bytes"]),
        ntime=0,
        nonce=0,
        version_bits=0,
        is_compact=False,
    )
    assert f'"{vector["expected"]}"' in written


@pytest.mark.parametrize("version", ["2.12.2", "2.15.0"])
def test_our_lines_are_the_firmware_s_to_the_byte(
    version: str, vectors: dict[str, Any]
) -> None:
    user, is_compact = "bc1qexample.bitaxe", version != "2.12.2"
    theirs = vectors["tx_lines_newest"] if is_compact else vectors["tx_lines_v2_12_2"]
    lines = [
        messages.configure_line(1, is_compact=is_compact),
        messages.subscribe_line(2, "BM1370", f"v{version}", is_compact=is_compact),
        messages.authorize_line(3, user, "x", is_compact=is_compact),
        messages.suggest_difficulty_line(4, 1000.0, is_compact=is_compact),
        messages.extranonce_subscribe_line(5, is_compact=is_compact),
        messages.submit_line(
            6,
            user=user,
            job_id="1d2e0c4d3d",
            extranonce2=bytes.fromhex("0100000000000000"),
            ntime=0x64495522,
            nonce=0x0A029ED1,
            version_bits=0x2000,
            is_compact=is_compact,
        ),
        messages.pong_line(7),
        messages.version_line(10, f"v{version}"),
    ]

    assert lines[: len(theirs)] == theirs


def test_header_words_of_the_reference_are_unswapped(vectors: dict[str, Any]) -> None:
    for vector in vectors["bm_job"]:
        if "header_prev_bytes" in vector:
            swapped = bytes.fromhex(vector["prev_block_hash"])
            assert swap_words(swapped).hex() == vector["header_prev_bytes"]
    for vector in vectors["utils"]["reverse_endianness_per_word"]:
        words = bytes.fromhex(vector["input"])
        assert swap_words(words).hex() == vector["expected"]


def test_a_tiny_difficulty_is_suggested_with_every_digit() -> None:
    line = messages.suggest_difficulty_line(4, 1000 / 2**32, is_compact=False)

    assert line.endswith('"params": [2.3283064365386963e-07]}')


def test_strings_are_escaped_where_the_firmware_forgets_to() -> None:
    line = messages.authorize_line(3, 'a"b', "c\\d", is_compact=False)

    assert line.endswith(r'"params": ["a\"b", "c\\d"]}')


@each(
    ("line", "reason"),
    [
        (b"", "not JSON"),
        (b"{", "not JSON"),
        (b"\xff\xfe", "not JSON"),
        (b"[" * 5000, "not JSON"),
        (b'{"method":"mining.notify","params":"x"}', "params is no array"),
        (b'{"method":"mining.notify","params":{}}', "only 0 params"),
        (b'{"method":"mining.notify","params":[1,2,3]}', "only 3 params"),
        (b'{"method":"mining.set_difficulty","params":[]}', "only 0 params"),
        (b'{"method":"mining.set_version_mask","params":[1]}', "mask is no string"),
        (b'{"method":"mining.set_extranonce","params":[1,4]}', "1 is no string"),
        (b'{"method":"client.reconnect" "id":1}', "not JSON"),
    ],
)
def test_a_line_that_cannot_be_used_says_why(line: bytes, reason: str) -> None:
    with pytest.raises(StratumError, match=reason):
        parse(line)


def _method(name: str, params: str) -> bytes:
    return f'{{"method":"mining.{name}","params":{params}}}'.encode()


@each(
    ("line", "old", "new"),
    [
        (
            b'{"id":2,"result":[[],"00","4"],"error":null}',
            Subscribed(b"\0", 0),
            "size is no number",
        ),
        (
            b'{"id":2,"result":[[],"00",null],"error":null}',
            Subscribed(b"\0", 0),
            "size is no number",
        ),
        (
            b'{"id":2,"result":{"a":1,"b":"00","c":4},"error":null}',
            Subscribed(b"\0", 4),
            "no extranonce",
        ),
        (
            _method("set_extranonce", '["00","4"]'),
            SetExtranonce(b"\0", 0),
            "size is no number",
        ),
        (
            _method("set_extranonce", '["00",true]'),
            SetExtranonce(b"\0", 1),
            "size is no number",
        ),
        (_method("set_difficulty", '["8"]'), SetDifficulty(0), "is no number"),
        (_method("set_difficulty", "[true]"), SetDifficulty(1), "is no number"),
        (_method("set_difficulty", '{"a":8}'), SetDifficulty(8), "is no array"),
    ],
)
def test_values_of_other_types_are_what_cjson_has_of_them_or_from_2_15_on_refused(
    line: bytes, old: messages.Message, new: str
) -> None:
    assert parse(line) == old
    if isinstance(old, Subscribed):
        told = parse(line, NEWEST)
        assert isinstance(told, NoExtranonce)
        assert new in told.reason
    else:
        with pytest.raises(StratumError, match=new):
            parse(line, NEWEST)


def test_a_difficulty_below_0_wraps_or_from_2_14_on_takes_any_nonce() -> None:
    line = _method("set_difficulty", "[-5]")

    assert parse(line) == SetDifficulty(2**32 - 5)
    assert parse(line, NEWEST) == SetDifficulty(0)


@each("rows", [ROWS, NEWEST])
@each(
    ("line", "read"),
    [
        (b'{"id":2,"result":[[],"00",4.0]}', Subscribed(b"\0", 4)),
        (b'{"id":2,"result":[[],"abc",4]}', Subscribed(b"\xab\xc0", 4)),
        (b'{"id":2,"result":[[],"z1 2",4]}', Subscribed(b"\x01\x02", 4)),
        (b'{"id":7,"result":true,"error":null} and more', Answer(7, None)),
        (b'{"id":7,"result":true}{"id":8,"result":true}', Answer(7, None)),
        (b'{"ID":7,"Result":false,"Reject-Reason":"a\tb"}', Answer(7, "a\tb")),
        (b'{"id":7,"id":8,"Id":9,"result":true}', Answer(7, None)),
        (b'\xef\xbb\xbf\x01{"id":07,"result":true}', Answer(7, None)),
        (b'{"id":7,"result":false,"reject-reason":"\xe9"}', Answer(7, "\ufffd")),
        (b'{"id":1e99,"result":true}', Answer(2**31 - 1, None)),
        (_method("set_difficulty", "[1e999]"), SetDifficulty(2.0**128)),
        (_method("set_version_mask", '[" 0x1fzz"]'), SetVersionMask(0x1F)),
        (_method("set_version_mask", '["fffffffff"]'), SetVersionMask(0xFFFFFFFF)),
        (_method("set_version_mask", '["-1"]'), SetVersionMask(0xFFFFFFFF)),
        (_method("set_version_mask", '["xyz"]'), SetVersionMask(0)),
        (b"[1]", Unhandled("")),
    ],
)
def test_a_line_is_what_cjson_makes_of_it(
    rows: Rows, line: bytes, read: messages.Message
) -> None:
    assert parse(line, rows) == read


@each(
    ("line", "reason"),
    [
        (b'{"id":2,"result":null,"error":null}', "result has no extranonce"),
        (b'{"id":2,"result":[1],"error":null}', "result has no extranonce"),
        (b'{"id":2,"result":[[],7,4],"error":null}', "extranonce1 is no string"),
    ],
)
def test_an_answer_to_subscribe_without_an_extranonce_says_why(
    line: bytes, reason: str
) -> None:
    text = f"Unable to use stratum message: mining.subscribe: {reason}"
    assert parse(line) == NoExtranonce(reason, text)


def test_an_answer_to_subscribe_without_a_result_is_not_told() -> None:
    line = b'{"id":2,"error":[20,"banned",null]}'
    assert parse(line) == NoExtranonce("banned", "")


def test_33_merkle_branches_are_refused() -> None:
    branch = ",".join(['"' + "00" * 32 + '"'] * 33)
    line = (
        '{"method":"mining.notify","params":["1","' + "00" * 32 + f'","","",[{branch}],'
        '"20000000","1d00ffff","5f5e1000",true]}'
    )

    with pytest.raises(StratumError, match="33 merkle branches"):
        parse(line.encode())


def test_ids_that_are_no_numbers_count_as_minus_one() -> None:
    for text in ('"5"', "null", "true", "[]"):
        line = f'{{"id":{text},"result":true,"error":null}}'
        assert parse(line.encode()) == Answer(-1, None)


def test_the_extranonce2_size_is_clamped() -> None:
    line = b'{"method":"mining.set_extranonce","params":["0102",99]}'

    assert parse(line) == SetExtranonce(b"\x01\x02", 32)


def test_reconnect_ignores_its_params() -> None:
    line = b'{"method":"client.reconnect","params":["evil.example",1,2]}'

    assert parse(line) == Reconnect()


@given(
    lines=st.lists(st.binary(max_size=40).map(lambda b: b.replace(b"\n", b""))),
    cuts=st.lists(st.integers(1, 50), max_size=40),
)
def test_lines_survive_any_slicing(lines: list[bytes], cuts: list[int]) -> None:
    stream = b"".join(line + b"\n" for line in lines)
    splitter, got, at = LineSplitter(), [], 0
    for cut in (*cuts, len(stream) + 1):
        got += splitter.feed(stream[at : at + cut])
        at += cut

    assert got == lines


def test_over_long_lines_are_dropped_and_counted() -> None:
    splitter = LineSplitter(max_bytes=10)

    assert splitter.feed(b"x" * 8) == []
    assert splitter.feed(b"y" * 8) == []
    assert splitter.feed(b"still the same line") == []
    assert splitter.feed(b"end\nshort\n" + b"z" * 11 + b"\nnext\n") == [
        b"short",
        b"next",
    ]
    assert splitter.dropped == 2


@given(st.binary(max_size=300))
def test_any_bytes_are_read_or_refused(line: bytes) -> None:
    try:
        parse(line)
    except StratumError:
        return


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(max_size=8),
        lambda inner: st.lists(inner, max_size=9),
        max_leaves=20,
    ),
    st.sampled_from(
        ["mining.notify", "mining.set_difficulty", "mining.set_extranonce", "x"]
    ),
)
def test_any_params_are_read_or_refused(params: object, method: str) -> None:
    line = json.dumps({"id": 1, "method": method, "params": params}).encode()
    try:
        parse(line)
    except StratumError:
        return
