from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from softaxe.asic import frames
from softaxe.asic.frames import (
    CommandReader,
    NonceReply,
    RegisterReply,
    ReplyReader,
)
from softaxe.bitcoin.header import Work
from softaxe.stratum.messages import swap_words

Vectors = dict[str, Any]
WIRE = frames.WIRES["BM1370"]
REPLY_BYTES = frames.WIRES["BM1370"].reply_bytes


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


def test_all_commands_of_the_reference_are_read_and_written(vectors: Vectors) -> None:
    count = 0
    for vector in vectors["asic"]["command_frames"]:
        for _, text in vector["sequence"]:
            frame = bytes.fromhex(text)
            ((header, data),) = CommandReader().feed(frame)
            assert frames.command(header, data) == frame
            count += 1
    assert count == 229


def test_baud_rate_switches(vectors: Vectors) -> None:
    for name, (frame, _) in vectors["asic"]["max_baud_frames"].items():
        register, value = frames.WIRES[name].fastest_baud
        assert frames.write_all(register, value).hex() == frame


def test_job_packets_with_a_whole_header(vectors: Vectors) -> None:
    names = set()
    for vector in vectors["asic"]["job_packets"]:
        if vector["chip"] == "BM1397":
            continue
        packet = frames.job(vector["job_id"], reference_work(vectors))
        assert packet.hex() == vector["packet"]
        names.add(vector["chip"])
    assert names == {"BM1366", "BM1368", "BM1370"}


def test_a_job_packet_with_four_midstates(vectors: Vectors) -> None:
    (vector,) = (
        v for v in vectors["asic"]["job_packets"] if v.get("num_midstates") == 4
    )
    packet = bytes.fromhex(vector["packet"])
    midstates = [packet[22 + 32 * n : 54 + 32 * n] for n in range(4)]

    work = reference_work(vectors)
    assert frames.midstate_job(vector["job_id"], work, midstates) == packet


def test_midstates_that_are_not_there_are_zero(vectors: Vectors) -> None:
    vector = vectors["bm_job"][0]
    midstate = bytes.fromhex(vector["expected_job_midstate_bytes"])
    root = bytes.fromhex(vector["merkle_root"])
    ntime, nbits = int(vector["ntime"], 16), int(vector["nbits"], 16)
    work = Work(int(vector["version"], 16), bytes(32), root, ntime, nbits)

    packet = frames.midstate_job(4, work, [midstate])

    recorded = bytes.fromhex(vectors["bm1397_reference"]["expected_packet"])
    # The recorded packet says four midstates where there is one.
    assert packet[:5] + b"\4" + packet[6:-2] == recorded[:-2]


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
        is_newer = name in ("BM1372", "BM1373")
        wire = frames.WIRES["BM1372/BM1373" if is_newer else name]
        size = wire.id_reply_bytes or wire.reply_bytes
        (body,) = ReplyReader(size).feed(bytes.fromhex(frame))
        assert body[:2].hex() == name[2:]
        again = frames.chip_id_reply(wire, int(name[2:], 16), 0)
        assert again.hex() == frame


def test_result_frames_are_read_and_written(vectors: Vectors) -> None:
    for vector in vectors["asic"]["result_frames"]:
        wire = frames.WIRES[vector["chip"]]
        frame = bytes.fromhex(vector["frame"])
        (body,) = ReplyReader(wire.reply_bytes).feed(frame)
        reply = frames.read_reply(body)

        assert isinstance(reply, NonceReply)
        assert reply.nonce.to_bytes(4)[::-1].hex() == vector["nonce"][2:]
        assert reply.id_byte == int(vector["id_byte"], 16)
        assert reply.version_field == int(vector["version_field"], 16)
        job_bits = reply.id_byte & wire.job_id_mask
        assert job_bits >> wire.job_id_shift == vector["job_id"]
        assert reply.id_byte & wire.small_core_mask == vector["small_core_id"]
        again = frames.nonce_reply(
            wire, reply.nonce, reply.id_byte, reply.version_field
        )
        assert again == frame


def test_register_frames_are_read_and_written(vectors: Vectors) -> None:
    for vector in vectors["asic"]["register_frames"]:
        wire = frames.WIRES[vector["chip"]]
        frame = bytes.fromhex(vector["frame"])
        (body,) = ReplyReader(wire.reply_bytes).feed(frame)
        reply = frames.read_reply(body)

        assert reply == RegisterReply(
            int(vector["value"], 16),
            vector["asic_address"],
            int(vector["register"], 16),
        )
        again = frames.register_reply(wire, reply.value, reply.address, reply.register)
        assert again == frame


@given(cuts=st.lists(st.integers(1, 30), max_size=30))
def test_frames_may_come_in_any_slices(cuts: list[int]) -> None:
    stream = frames.nonce_reply(WIRE, 1, 2, 3) + frames.register_reply(WIRE, 4, 5, 6)
    reader, bodies, at = ReplyReader(REPLY_BYTES), [], 0
    for cut in (*cuts, len(stream)):
        bodies += reader.feed(stream[at : at + cut])
        at += cut

    assert [frames.read_reply(body) for body in bodies] == [
        NonceReply(1, 2, 3),
        RegisterReply(4, 5, 6),
    ]


def test_a_reply_with_a_wrong_crc_empties_the_buffer_and_is_counted() -> None:
    bad = bytearray(frames.nonce_reply(WIRE, 1, 2, 3))
    bad[-1] ^= 1
    reader = ReplyReader(REPLY_BYTES)

    assert reader.feed(bytes(bad) + frames.nonce_reply(WIRE, 4, 5, 6)) == []
    assert reader.bad_frames == 1
    assert len(reader.feed(frames.nonce_reply(WIRE, 7, 8, 9))) == 1


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
    for body in ReplyReader(REPLY_BYTES).feed(data):
        frames.read_reply(body)


@given(lost=st.integers(0, 10), count=st.integers(1, 3))
def test_a_command_survives_bytes_lost_before_it(lost: int, count: int) -> None:
    reader = CommandReader()
    broken = frames.write_all(0x14, 0xFF)
    stream = broken[:lost] + broken[lost + count :] + frames.read_all(0x8C)

    found = reader.feed(stream + frames.read_all(0x4C))

    assert (frames.READ | frames.BROADCAST, b"\x00\x4c") in found


def test_every_other_frame_of_the_reference_is_spelled_right(vectors: Vectors) -> None:
    frame, _ = vectors["asic"]["default_baud_frame"]
    assert frames.write_all(frames.Register.MISC_CONTROL, 0x00007A31).hex() == frame
    # Newer firmware works the number out; the frame is the same kind.
    for vector in vectors["asic"]["hash_counting_number_newest"]:
        written = frames.write_all(frames.Register.HASH_COUNTING, vector["value"])
        assert written.hex() == vector["frame"]
