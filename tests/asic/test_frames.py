from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from softaxe.asic import frames
from softaxe.asic.frames import (
    CommandReader,
    NonceReply,
    Pll,
    RegisterReply,
    ReplyReader,
)
from softaxe.bitcoin.header import Work
from softaxe.stratum.messages import swap_words

Vectors = dict[str, Any]
FB_LIMITS = {"BM1397": (60, 200), "BM1366": (144, 235), "BM1368": (144, 235)}


def reference_work(vectors: Vectors) -> Work:
    vector = vectors["nonce_difficulty"][1]
    return Work(
        version=int(vector["version"], 16),
        prevhash=swap_words(bytes.fromhex(vector["prev_block_hash"])),
        merkle_root=bytes.fromhex(vector["merkle_root"]),
        ntime=int(vector["ntime"], 16),
        nbits=int(vector["nbits"], 16),
    )


def test_crc5(vectors: Vectors) -> None:
    for vector in vectors["asic"]["crc5"]:
        assert frames.crc5(bytes.fromhex(vector["data"])) == vector["expected"]


def test_crc16(vectors: Vectors) -> None:
    for vector in vectors["asic"]["crc16"]:
        data = bytes.fromhex(vector["data"])
        assert frames.crc16(data) == int(vector["expected"], 16)


def test_register_reads(vectors: Vectors) -> None:
    for register, frame in vectors["asic"]["read_register_frames"].items():
        assert frames.read_all(int(register, 16)).hex() == frame


def test_ticket_masks(vectors: Vectors) -> None:
    for vector in vectors["asic"]["ticket_mask"]:
        difficulty = vector["difficulty"]
        mask = frames.ticket_mask(difficulty)

        assert frames.write_all(0x14, mask).hex() == vector["frame"]
        power = 1 << (difficulty.bit_length() - 1)
        assert frames.ticket_difficulty(mask) == power


def test_version_masks(vectors: Vectors) -> None:
    for vector in vectors["asic"]["version_mask"]:
        value = frames.version_mask_value(int(vector["mask"], 16))
        assert frames.write_all(0xA4, value).hex() == vector["frame"]


def test_pll_dividers_of_every_chip(vectors: Vectors) -> None:
    for vector in vectors["asic"]["pll"]:
        low, high = FB_LIMITS.get(vector["chip"], (160, 239))
        pll = frames.pll_for(vector["mhz"], fb_min=low, fb_max=high)

        expected = (
            vector["fb_divider"],
            vector["refdiv"],
            vector["postdiv1"],
            vector["postdiv2"],
        )
        assert pll == Pll(*expected)
        assert pll.frequency_mhz == pytest.approx(vector["actual_mhz"])
        if vector["chip"] != "BM1397":  # which packs its dividers differently
            assert frames.write_all(0x08, pll.value).hex() == vector["frame"]
            assert Pll.from_value(pll.value) == pll


def test_a_frequency_out_of_reach_has_no_dividers() -> None:
    assert frames.pll_for(20_000, fb_min=160, fb_max=239) is None


def test_job_packets(vectors: Vectors) -> None:
    checked = 0
    for vector in vectors["asic"]["job_packets"]:
        if vector["chip"] == "BM1397" or vector["source"] != "nonce_difficulty[1]":
            continue
        packet = frames.job(vector["job_id"], reference_work(vectors))
        assert packet.hex() == vector["packet"]
        checked += 1
    assert checked >= 2


def test_words_are_reversed_as_in_the_reference(vectors: Vectors) -> None:
    for vector in vectors["utils"]["reverse_32bit_words"]:
        words = bytes.fromhex(vector["input"])
        assert frames.reverse_words(words).hex() == vector["expected"]
    for vector in vectors["bm_job"]:
        if "job_prev_block_hash_bytes" not in vector:
            continue
        prevhash = swap_words(bytes.fromhex(vector["prev_block_hash"]))
        root = bytes.fromhex(vector["merkle_root"])
        expected = vector["job_prev_block_hash_bytes"]
        assert frames.reverse_words(prevhash).hex() == expected
        assert frames.reverse_words(root).hex() == vector["job_merkle_root_bytes"]


def test_a_job_is_read_back_from_its_packet(vectors: Vectors) -> None:
    work = reference_work(vectors)

    ((header, data),) = CommandReader().feed(frames.job(24, work))

    assert header == frames.JOB_HEADER
    assert frames.read_job(data) == (24, work)


def test_chip_id_replies(vectors: Vectors) -> None:
    for name, frame in vectors["asic"]["chip_id_replies"].items():
        if name in ("BM1366", "BM1368", "BM1370"):
            assert frames.chip_id_reply(int(name[2:], 16), 0).hex() == frame


def test_result_frames_are_read_and_written(vectors: Vectors) -> None:
    for vector in vectors["asic"]["result_frames"]:
        if vector["chip"] == "BM1397":  # nine bytes
            continue
        frame = bytes.fromhex(vector["frame"])
        (body,) = ReplyReader().feed(frame)
        reply = frames.read_reply(body)

        assert isinstance(reply, NonceReply)
        assert reply.nonce.to_bytes(4)[::-1].hex() == vector["nonce"][2:]
        assert reply.id_byte == int(vector["id_byte"], 16)
        field = int(vector["version_field"], 16)
        assert reply.version_field == field
        again = frames.nonce_reply(reply.nonce, reply.id_byte, reply.version_field)
        assert again == frame


def test_register_frames_are_read_and_written(vectors: Vectors) -> None:
    for vector in vectors["asic"]["register_frames"]:
        if vector["chip"] == "BM1397":
            continue
        frame = bytes.fromhex(vector["frame"])
        (body,) = ReplyReader().feed(frame)
        reply = frames.read_reply(body)

        assert isinstance(reply, RegisterReply)
        assert reply.value == int(vector["value"], 16)
        assert reply.address == vector["asic_address"]
        assert reply.register == int(vector["register"], 16)
        again = frames.register_reply(reply.value, reply.address, reply.register)
        assert again == frame


@given(cuts=st.lists(st.integers(1, 30), max_size=30))
def test_frames_may_come_in_any_slices(cuts: list[int]) -> None:
    stream = frames.nonce_reply(1, 2, 3) + frames.register_reply(4, 5, 6)
    reader, bodies, at = ReplyReader(), [], 0
    for cut in (*cuts, len(stream)):
        bodies += reader.feed(stream[at : at + cut])
        at += cut

    assert [frames.read_reply(body) for body in bodies] == [
        NonceReply(1, 2, 3),
        RegisterReply(4, 5, 6),
    ]


def test_a_reply_with_a_wrong_crc_empties_the_buffer_and_is_counted() -> None:
    bad = bytearray(frames.nonce_reply(1, 2, 3))
    bad[-1] ^= 1
    reader = ReplyReader()

    assert reader.feed(bytes(bad) + frames.nonce_reply(4, 5, 6)) == []
    assert reader.bad_frames == 1
    assert len(reader.feed(frames.nonce_reply(7, 8, 9))) == 1


def test_the_chip_skips_rubbish_to_the_next_command() -> None:
    reader = CommandReader()
    bad = bytearray(frames.write_all(0x14, 0xFF))
    bad[-1] ^= 1

    found = reader.feed(b"noise" + bytes(bad) + frames.read_all(0x8C))

    assert found == [(frames.READ | frames.BROADCAST, b"\x00\x8c")]
    assert reader.bad_frames == 1


@given(data=st.binary(max_size=300))
def test_any_bytes_are_survived_by_both_readers(data: bytes) -> None:
    CommandReader().feed(data)
    for body in ReplyReader().feed(data):
        frames.read_reply(body)
