import json
from typing import Any

from tests.each import each

from softaxe.bitcoin.address import Network
from softaxe.bitcoin.coinbase import (
    CoinbaseInfo,
    Output,
    decode_coinbase,
    decode_outputs,
    described,
    network_of,
    signals,
)
from softaxe.bitcoin.header import nbits_difficulty
from softaxe.stratum.pool import EXTRANONCE1_SIZE, EXTRANONCE2_SIZE, Pool

Vectors = dict[str, Any]
METHOD = "mining.notify"
NETWORKS = {"main": Network.MAIN, "test": Network.TEST, "regtest": Network.REGTEST}
SLUSH = "1CK6KHY6MHgYvmRQ4PAafKYDrg1ejbH1cE"
PAYS_SLUSH = "76a9147c154ed1dc59609e3d26abb2df2ea3d587cd8c4188ac"


def number(value: int | str) -> int:
    return value if isinstance(value, int) else int(value, 16)


def test_height_and_text_are_read_from_the_coinbase(vectors: Vectors) -> None:
    for vector in vectors["notify_decode"]:
        extranonce1 = bytes.fromhex(vector["extranonce1"])
        info = decode_coinbase(
            bytes.fromhex(vector["coinbase_1"]),
            bytes.fromhex(vector["coinbase_2"]),
            len(extranonce1) + vector["extranonce2_len"],
        )

        assert info is not None
        assert info.height == vector["block_height"]
        assert info.scriptsig == vector["scriptsig"]
        if "nbits" in vector:
            difficulty = nbits_difficulty(number(vector["nbits"]))
            assert int(difficulty) == vector["network_difficulty_u64"]


@each("size", [0, 41, 42, 44])
def test_a_coinbase_cut_short_is_not_decoded(size: int) -> None:
    coinbase1 = (bytes(41) + b"\x20\x03\x01\x02\x03")[:size]

    assert decode_coinbase(coinbase1, b"", 12) is None


def test_text_beyond_a_cut_coinbase2_is_unknown() -> None:
    coinbase1 = bytes(41) + b"\x20\x03\x01\x02\x03"

    info = decode_coinbase(coinbase1, bytes(4), 12)

    assert info == CoinbaseInfo(height=0x030201, scriptsig=None, sequence_at=16)


def test_outputs_of_the_reference_are_described_as_the_firmware_does(
    vectors: Vectors,
) -> None:
    for vector in vectors["coinbase_decode_newest"]["addresses"]:
        script = bytes.fromhex(vector["script"])
        assert described(script, NETWORKS[vector["network"]]) == vector["expected"]
    assert described(b"", Network.MAIN) == "unknown"
    assert described(b"\x51", Network.MAIN) == "UNKNOWN:51"
    assert described(b"\x52\x20" + bytes(40), Network.MAIN) == (
        "UNKNOWN:5220" + "00" * 30
    )
    assert described(b"\x6a" + b"a" * 200, Network.MAIN) == "OP_RETURN: " + "a" * 116


def test_numbers_of_the_reference_are_read(vectors: Vectors) -> None:
    for vector in vectors["coinbase_decode_newest"]["varint"]:
        script = bytes(vector["value"]) if vector["value"] < 1 << 20 else b""
        data = bytes(4) + b"\x01" + bytes(8) + bytes.fromhex(vector["bytes"]) + script
        outputs = decode_outputs(data, 0, user="", network=Network.MAIN)

        assert outputs is not None
        assert len(outputs.first) == (1 if script else 0)


def test_the_outputs_of_a_real_coinbase(vectors: Vectors) -> None:
    vector = vectors["notify_decode"][0]
    size = len(vector["extranonce1"]) // 2 + vector["extranonce2_len"]
    coinbase1, coinbase2 = (
        bytes.fromhex(vector[name]) for name in ("coinbase_1", "coinbase_2")
    )
    info = decode_coinbase(coinbase1, coinbase2, size)
    assert info is not None

    for user, users_sat in ((f"{SLUSH}.worker", 0x2BA2F3A1), ("bc1q", 0)):
        outputs = decode_outputs(
            coinbase2, info.sequence_at, user=user, network=Network.MAIN
        )

        assert outputs is not None
        first, second, third = outputs.first
        assert first == Output(0x2BA2F3A1, SLUSH, is_user=users_sat > 0)
        assert second.address.startswith("OP_RETURN: L)RSKBLOCK:")
        assert third.value_sat == 0
        assert third.address == described(coinbase2[-42:-4], Network.MAIN)
        assert (outputs.total_sat, outputs.user_sat) == (0x2BA2F3A1, users_sat)
        assert signals(outputs, height=info.height, version=0x20000004) == ()


def test_all_value_counts_and_six_outputs_are_told_of() -> None:
    output = (5).to_bytes(8, "little") + b"\x19" + bytes.fromhex(PAYS_SLUSH)
    data = bytes(4) + b"\x08" + output * 8 + (99).to_bytes(4, "little")

    outputs = decode_outputs(data, 0, user=SLUSH, network=Network.MAIN)
    testers = decode_outputs(data, 0, user=SLUSH, network=Network.TEST)

    assert outputs is not None
    assert testers is not None
    assert len(outputs.first) == 6
    assert (outputs.total_sat, outputs.user_sat) == (40, 40)
    assert outputs.lock_time == 99
    assert testers.user_sat == 0, "its addresses are written in another way there"


@each("size", range(46))
def test_of_a_coinbase_cut_short_whole_outputs_count(size: int) -> None:
    output = (5).to_bytes(8, "little") + b"\x03\x6a\x01\x61"
    data = (bytes(4) + b"\x03" + output * 3 + bytes(4))[:size]

    outputs = decode_outputs(data, 0, user="", network=Network.MAIN)

    if size < 5:
        assert outputs is None
    else:
        assert outputs is not None
        assert len(outputs.first) == min(3, (size - 5) // len(output))
        assert all(one == Output(5, "OP_RETURN: a", False) for one in outputs.first)


def test_proposals_are_signalled_as_in_the_reference(vectors: Vectors) -> None:
    for vector in vectors["coinbase_decode_newest"]["bip110"]:
        height, version = vector["block_height"], number(vector["version"])
        for lock_time, sequence, is_bip54 in (
            (height - 1, b"\xfe\xff\xff\xff", True),
            (height - 1, b"\xff\xff\xff\xff", False),
            (height, b"\xfe\xff\xff\xff", False),
        ):
            data = sequence + b"\x00" + lock_time.to_bytes(4, "little")
            outputs = decode_outputs(data, 0, user="", network=Network.MAIN)
            assert outputs is not None
            assert signals(outputs, height=height, version=version) == (
                *(["BIP-54"] if is_bip54 else []),
                *(["BIP-110"] if vector["expected"] else []),
            )


@each(
    ("user", "network"),
    [
        ("bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4.a", Network.MAIN),
        ("tb1qw508d6qejxtdg4y5r3zarvary0c5xw7kxpjzsx", Network.TEST),
        ("mipcBbFg9gMiCh81Kj8tqqdgoZub1ZJRfn", Network.TEST),
        ("2MtuUrEG8UEqC5swHZAuU3nVa54A8xceuSa", Network.TEST),
        ("bcrt1q42aueh0wluqpzg3ng32kvaugnx4thnxaktc5cu", Network.REGTEST),
        ("", Network.MAIN),
    ],
)
def test_a_user_s_name_tells_the_network(user: str, network: Network) -> None:
    assert network_of(user) is network


def test_the_built_in_pool_pays_the_address_in_the_user_s_name() -> None:
    pool = Pool(seed=1)
    user = "bcrt1q42aueh0wluqpzg3ng32kvaugnx4thnxaktc5cu"
    connection = pool.connect(0.0)
    connection.receive(b'{"id":1,"method":"mining.subscribe","params":[]}\n', 0.0)
    authorize = f'{{"id":2,"method":"mining.authorize","params":["{user}.a","x"]}}\n'
    connection.receive(authorize.encode(), 0.0)
    lines = map(json.loads, connection.data_to_send().decode().splitlines())
    job = next(line["params"] for line in lines if line.get("method") == METHOD)
    coinbase1, coinbase2 = bytes.fromhex(job[2]), bytes.fromhex(job[3])

    info = decode_coinbase(coinbase1, coinbase2, EXTRANONCE1_SIZE + EXTRANONCE2_SIZE)
    assert info is not None
    outputs = decode_outputs(
        coinbase2, info.sequence_at, user=f"{user}.a", network=Network.REGTEST
    )

    assert outputs is not None
    value_sat = pool.chain.template.value_sat
    assert outputs.first == (Output(value_sat, user, is_user=True),)
    assert outputs.total_sat == outputs.user_sat == value_sat
