import math
import random
from collections import Counter
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.each import each

from softaxe.asic import frames
from softaxe.asic.frames import (
    CommandReader,
    NonceReply,
    RegisterReply,
    ReplyReader,
)
from softaxe.bitcoin.header import Work, sha256d
from softaxe.catalog import catalog_data, read_chips
from softaxe.stratum.messages import swap_words

CHIPS = read_chips(catalog_data())
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
        assert frames.ticket_bits(mask) == difficulty.bit_length() - 1


def test_version_masks(vectors: Vectors) -> None:
    for vector in vectors["asic"]["version_mask"]:
        value = frames.version_mask_value(int(vector["mask"], 16))
        assert frames.write_all(0xA4, value).hex() == vector["frame"]


def test_all_commands_of_the_reference_are_read_and_written(vectors: Vectors) -> None:
    count = 0
    for vector in vectors["asic"]["command_frames"]:
        for _, text in vector["sequence"]:
            frame = bytes.fromhex(text)
            ((header, data),) = CommandReader(WIRE.job_bytes).feed(frame)
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

    ((header, data),) = CommandReader(WIRE.job_bytes).feed(frames.job(24, work))

    assert header == frames.JOB_HEADER
    assert frames.read_job(data) == (24, work)


def test_jobs_of_real_hosts_are_read_and_written(captures: dict[str, Any]) -> None:
    sent = [one["job"] for one in captures["mined"] + captures["streams"]]
    sent += [job for trip in captures["round_trips"] for job in trip["jobs"]]
    for text in sent:
        packet = bytes.fromhex(text)
        ((header, data),) = CommandReader(WIRE.job_bytes).feed(packet)
        again = frames.job(*frames.read_job(data))

        assert header == frames.JOB_HEADER
        assert again[4:-2] == data
        # ESP-Miner's are the same to the last byte; others write another length.
        assert (again == packet) == (packet[3] == 0x56)
    assert len(sent) == 15


def test_chip_id_replies(vectors: Vectors) -> None:
    for name, frame in vectors["asic"]["chip_id_replies"].items():
        is_newer = name in ("BM1372", "BM1373")
        wire = frames.WIRES["BM1372/BM1373" if is_newer else name]
        size = len(frame) // 2
        assert size == (9 if is_newer else wire.reply_bytes)
        (body,) = ReplyReader(size).feed(bytes.fromhex(frame))
        assert body[:2].hex() == name[2:]
        again = frames.chip_id_reply(wire, size, int(name[2:], 16), 0)
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
            wire.reply_bytes, reply.nonce, reply.id_byte, reply.version_field
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
        again = frames.register_reply(
            wire.reply_bytes, reply.value, reply.address, reply.register
        )
        assert again == frame


@given(cuts=st.lists(st.integers(1, 30), max_size=30))
def test_frames_may_come_in_any_slices(cuts: list[int]) -> None:
    stream = frames.nonce_reply(REPLY_BYTES, 1, 2, 3) + frames.register_reply(
        REPLY_BYTES, 4, 5, 6
    )
    reader, bodies, at = ReplyReader(REPLY_BYTES), [], 0
    for cut in (*cuts, len(stream)):
        bodies += reader.feed(stream[at : at + cut])
        at += cut

    assert [frames.read_reply(body) for body in bodies] == [
        NonceReply(1, 2, 3, 0),
        RegisterReply(4, 5, 6),
    ]


def busy_stream(count: int, seed: int = 1) -> list[bytes]:
    """Replies of a hashing chain that is also asked, some with preambles inside."""
    rng = random.Random(seed)
    counters = (0x4C, 0x88, 0x89, 0x8A, 0x8B, 0x8C)
    replies = []
    for number in range(count):
        if number % 120 < 40:  # a poll of so many chips
            value, address = rng.getrandbits(11), number % 120 * 6
            register = rng.choice(counters)
            replies.append(frames.register_reply(11, value, address, register))
        else:
            field = min(int(rng.expovariate(1 / 9000)), 0xFFFF)
            excess = int(rng.expovariate(math.log(2)))
            result = WIRE.result(rng.randrange(16) << 3, field, excess)
            nonce = 0xAA55AA55 if number % 97 == 0 else rng.getrandbits(32)
            replies.append(frames.nonce_reply(11, nonce, result[1], field, result[0]))
    return replies


@pytest.mark.unwatched
@pytest.mark.parametrize("chunk", [1, 7, 11, 1024])
def test_every_reply_of_a_busy_stream_is_taken_whatever_it_begins_with(
    chunk: int,
) -> None:
    replies = busy_stream(5000)
    stream = replies[0][4:] + b"".join(replies[1:])  # the host opens in the middle
    reader, bodies = ReplyReader(REPLY_BYTES), list[bytes]()
    for at in range(0, len(stream), chunk):
        bodies += reader.feed(stream[at : at + chunk])

    assert bodies == [reply[2:] for reply in replies[1:]]
    assert reader.bad_frames == 1


@pytest.mark.unwatched
@pytest.mark.parametrize("chunk", [1, 11, 1024])
def test_lost_bytes_cost_the_replies_they_belong_to_and_few_others(chunk: int) -> None:
    replies, rng = busy_stream(8000), random.Random(2)
    stream, whole = bytearray(), list[bytes]()
    for reply in replies:
        left = bytes(byte for byte in reply if rng.random() >= 0.002)
        stream += left
        if left == reply:
            whole.append(reply[2:])
    reader, bodies = ReplyReader(REPLY_BYTES), list[bytes]()
    for at in range(0, len(stream), chunk):
        bodies += reader.feed(bytes(stream[at : at + chunk]))

    taken = Counter(bodies) & Counter(whole)
    lost = len(replies) - len(whole)
    assert lost > 120
    assert taken.total() >= 0.997 * len(whole)
    assert len(bodies) - taken.total() < 0.02 * lost, "taken for a reply"
    assert reader.bad_frames == pytest.approx(lost, rel=0.05)


def real_stream(captures: dict[str, Any]) -> list[bytes]:
    """Replies of four machines, one after the other."""
    return [
        bytes.fromhex(text)
        for stream in captures["streams"]
        for text in stream["replies"]
    ]


@each("chunk", [1, 7, 11, 1024])
def test_every_reply_of_real_chips_is_taken(
    chunk: int, captures: dict[str, Any]
) -> None:
    replies = real_stream(captures)
    stream = b"".join(replies)[5:]  # the host opens in the middle
    reader, bodies = ReplyReader(REPLY_BYTES), list[bytes]()
    for at in range(0, len(stream), chunk):
        bodies += reader.feed(stream[at : at + chunk])

    assert bodies == [reply[2:] for reply in replies[1:]]
    assert reader.bad_frames == 1
    again = [frames.reply_frame(REPLY_BYTES, frames.read_reply(one)) for one in bodies]
    assert again == replies[1:]


@each("chunk", [1, 7, 11, 1024])
def test_bytes_lost_among_replies_of_real_chips_cost_no_other_reply(
    chunk: int, captures: dict[str, Any]
) -> None:
    replies, rng = real_stream(captures), random.Random(5)
    for _ in range(10):
        stream, whole = bytearray(), list[bytes]()
        for reply in replies:
            left = bytes(byte for byte in reply if rng.random() >= 0.01)
            stream += left
            if left == reply:
                whole.append(reply[2:])
        reader, bodies = ReplyReader(REPLY_BYTES), list[bytes]()
        for at in range(0, len(stream), chunk):
            bodies += reader.feed(bytes(stream[at : at + chunk]))

        assert len(whole) < len(replies)
        assert bodies == whole


def test_a_real_host_s_reads_give_every_whole_reply_behind_a_broken_one(
    captures: dict[str, Any],
) -> None:
    reader, counts = ReplyReader(REPLY_BYTES), []
    for read in captures["broken_stream"]["reads"]:
        counts.append(len(reader.feed(bytes.fromhex(read))))

    assert counts == [1, 1, 0, 1, 1]
    assert reader.bad_frames == 1
    assert reader.is_waiting


def test_a_reply_with_a_wrong_crc_is_counted_and_the_next_is_taken() -> None:
    bad = bytearray(frames.nonce_reply(REPLY_BYTES, 1, 2, 3))
    bad[-1] ^= 1
    reader = ReplyReader(REPLY_BYTES)
    good = frames.nonce_reply(REPLY_BYTES, 4, 5, 6)

    assert reader.feed(bytes(bad) + good) == [good[2:]]
    assert reader.bad_frames == 1


def test_a_reply_of_no_known_kind_is_none() -> None:
    # The flags of a kind between register and nonce, and the CRC that fits.
    strange = next(
        frame
        for last in range(0x20, 0x80)
        if frames.crc5((frame := b"\xaa\x55" + bytes(8) + bytes((last,)))[2:]) == 0
    )

    assert ReplyReader(REPLY_BYTES).feed(strange) == []


def test_the_chip_skips_rubbish_to_the_next_command() -> None:
    reader = CommandReader(WIRE.job_bytes)
    bad = bytearray(frames.write_all(0x14, 0xFF))
    bad[-1] ^= 1

    found = reader.feed(b"noise" + bytes(bad) + frames.read_all(0x8C))

    assert found == [(frames.READ | frames.BROADCAST, b"\x00\x8c")]
    assert reader.bad_frames == 1


@each("length", [0x36, 0x56, 0xFF])
def test_a_job_is_as_long_as_the_chip_expects_whatever_its_length_byte_says(
    length: int, vectors: Vectors
) -> None:
    jobs = [frames.job(number, reference_work(vectors)) for number in (8, 16)]
    for number, job in enumerate(jobs):
        body = bytes((job[2], length)) + job[4:-2]
        jobs[number] = job[:2] + body + frames.crc16(body).to_bytes(2)
    reader = CommandReader(WIRE.job_bytes)

    found = reader.feed(b"".join(jobs) + frames.read_all(0x8C))

    assert [header for header, _ in found] == [0x21, 0x21, 0x52]
    assert [frames.read_job(data)[0] for _, data in found[:2]] == [8, 16]
    assert reader.bad_frames == 0


def test_a_job_cut_short_costs_no_more_than_the_next_one(vectors: Vectors) -> None:
    job = frames.job(8, reference_work(vectors))
    reader = CommandReader(WIRE.job_bytes)

    found = reader.feed(job[:30] + job + frames.read_all(0x8C))

    assert [header for header, _ in found] == [0x21, 0x52]
    assert reader.bad_frames == 1


@pytest.mark.unwatched
@each("size", [1, 4096, 100_000])
def test_commands_are_taken_from_pieces_of_any_size(size: int) -> None:
    stream = b"".join(frames.write_all(0x14, n) for n in range(3000))
    reader, count = CommandReader(WIRE.job_bytes), 0
    for at in range(0, len(stream), size):
        count += len(reader.feed(stream[at : at + size]))

    assert count == 3000
    assert reader.bad_frames == 0


@each("frame", [b"\x72\x05\0\0", b"\x51\x05\0\x14", b"\x52\xff\0\0"])
def test_what_is_no_command_of_the_chips_is_skipped_at_once(frame: bytes) -> None:
    wrong = frames.HOST_PREAMBLE + frame + bytes((frames.crc5(frame),))
    reader = CommandReader(WIRE.job_bytes)

    found = reader.feed(wrong + frames.read_all(0x8C))

    assert [data for _, data in found] == [b"\0\x8c"]
    assert reader.bad_frames == 1


def test_nonces_of_real_chips_say_what_they_are_worth_and_whose_they_are(
    captures: dict[str, Any],
) -> None:
    core_counts = {name: chip.core_count for name, chip in CHIPS.items()}
    streams, count = captures["streams"], 0
    trips = [
        {"chip": trip["chip"], "job": trip["jobs"][-1], "nonces": [trip["nonce"]]}
        for trip in captures["round_trips"]
    ]
    for mined in captures["mined"] + streams + trips:
        wire = frames.WIRES[mined["chip"]]
        ((_, data),) = CommandReader(wire.job_bytes).feed(bytes.fromhex(mined["job"]))
        job_id, work = frames.read_job(data)
        for text in mined.get("nonces") or mined["replies"]:
            (body,) = ReplyReader(wire.reply_bytes).feed(bytes.fromhex(text))
            reply = frames.read_reply(body)
            if isinstance(reply, RegisterReply):
                assert mined in streams
                continue
            count += 1
            version = work.version | reply.version_field << frames.VERSION_SHIFT
            header = work.header(version=version)[:76] + reply.nonce.to_bytes(4)
            zero_bits = 256 - int.from_bytes(sha256d(header), "little").bit_length()
            result = wire.result(job_id, reply.version_field, zero_bits - 40)
            assert (reply.excess_byte, reply.id_byte) == result
            assert reply.nonce >> 25 < core_counts[mined["chip"]]
    assert count == 68


@each(("name", "most"), [("BM1366", 0xFF), ("BM1368", 0xFE), ("BM1370", 0xFE)])
def test_a_hash_better_than_the_byte_can_tell_is_told_as_the_best(
    name: str, most: int
) -> None:
    excess_byte, _ = frames.WIRES[name].result(24, 3, 300)

    assert excess_byte == most


@given(data=st.binary(max_size=300))
def test_any_bytes_are_survived_by_both_readers(data: bytes) -> None:
    CommandReader(WIRE.job_bytes).feed(data)
    for body in ReplyReader(REPLY_BYTES).feed(data):
        frames.read_reply(body)


@given(lost=st.integers(0, 10), count=st.integers(1, 3))
def test_a_command_survives_bytes_lost_before_it(lost: int, count: int) -> None:
    reader = CommandReader(WIRE.job_bytes)
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
