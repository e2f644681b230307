import struct
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from softaxe.bitcoin.header import (
    DIFFICULTY_1_TARGET,
    MAX_TARGET,
    Work,
    coinbase_transaction,
    difficulty_of,
    extranonce2_bytes,
    increment_version,
    merkle_root,
    nbits_difficulty,
    nbits_for,
    nbits_target,
    sha256d,
    target_for,
)
from softaxe.stratum.messages import swap_words

Vectors = dict[str, Any]


def number(value: int | str) -> int:
    return value if isinstance(value, int) else int(value, 16)


def test_coinbases_are_put_together(vectors: Vectors) -> None:
    for vector in vectors["coinbase_tx"]:
        parts = ("coinbase_1", "extranonce1", "extranonce2", "coinbase_2")
        transaction = coinbase_transaction(*(bytes.fromhex(vector[p]) for p in parts))

        assert transaction.hex() == vector["expected_tx"]
        assert sha256d(transaction).hex() == vector["expected_txid_internal"]


def test_merkle_roots_are_folded(vectors: Vectors) -> None:
    for vector in vectors["merkle_root"]:
        branch = [bytes.fromhex(entry) for entry in vector["branches"]]

        root = merkle_root(bytes.fromhex(vector["coinbase_hash"]), branch)

        assert root.hex() == vector["expected_root"]


def test_extranonce2_counts_little_endian(vectors: Vectors) -> None:
    for vector in vectors["extranonce2"]:
        spelt = extranonce2_bytes(vector["counter"], vector["length"])

        assert spelt.hex() == vector["expected"]


def test_versions_count_up_in_their_mask(vectors: Vectors) -> None:
    for vector in vectors["increment_bitmask"]:
        mask = number(vector["mask"])
        chain = [number(entry) for entry in vector["chain"]]

        for before, after in pairwise(chain):
            assert increment_version(before, mask) == after


def test_headers_hash_to_the_difficulties_of_the_reference(vectors: Vectors) -> None:
    for vector in vectors["nonce_difficulty"]:
        work = Work(
            version=number(vector["version"]),
            prevhash=swap_words(bytes.fromhex(vector["prev_block_hash"])),
            merkle_root=bytes.fromhex(vector["merkle_root"]),
            ntime=number(vector["ntime"]),
            nbits=number(vector["nbits"]),
        )
        header = work.header(nonce=number(vector["nonce"]))

        assert header.hex() == vector["header80"]
        assert sha256d(header).hex() == vector["hash_internal"]
        assert difficulty_of(sha256d(header)) == pytest.approx(
            vector["difficulty"], rel=1e-12
        )


def test_headers_start_with_version_prevhash_and_root(vectors: Vectors) -> None:
    for vector in vectors["bm_job"]:
        if "notify" in vector:  # tells only its merkle root
            continue
        work = Work(
            version=number(vector["version"]),
            prevhash=swap_words(bytes.fromhex(vector["prev_block_hash"])),
            merkle_root=bytes.fromhex(vector["merkle_root"]),
            ntime=number(vector["ntime"]),
            nbits=number(vector["nbits"]),
        )
        version = work.version
        for rolled in vector.get("rolled_versions", [vector["version"]]):
            header = work.header(version=version)

            assert header[:4] == number(rolled).to_bytes(4, "little")
            if "header_prev_bytes" in vector:
                assert header[4:36].hex() == vector["header_prev_bytes"]
            assert header[36:68].hex() == vector["merkle_root"]
            assert header[68:] == struct.pack("<3I", work.ntime, work.nbits, 0)
            version = increment_version(version, number(vector["version_mask"]))


def test_whole_notifies_give_the_roots_of_the_reference(vectors: Vectors) -> None:
    reference = vectors["bm1397_reference"]
    params = reference["notify"]["params"]
    notify = {"coinbase_1": params[2], "coinbase_2": params[3], "branches": params[4]}
    expected = [
        ({**reference, **notify}, reference["expected_root"]),
        (vectors["self_test_job"], vectors["self_test_job"]["merkle_root"]),
    ]
    for vector in vectors["bm_job"]:
        if "notify" in vector:
            params = vector["notify"]["params"]
            notify = {
                "coinbase_1": params[2],
                "coinbase_2": params[3],
                "branches": params[4],
            }
            expected.append(({**vector, **notify}, vector["expected_root"]))
    for job, root in expected:
        parts = ("coinbase_1", "extranonce1", "extranonce2", "coinbase_2")
        coinbase = coinbase_transaction(*(bytes.fromhex(job[part]) for part in parts))
        branch = [bytes.fromhex(entry) for entry in job["branches"]]
        assert merkle_root(sha256d(coinbase), branch).hex() == root


def test_network_difficulty_comes_from_nbits(vectors: Vectors) -> None:
    for vector in vectors["utils"]["network_difficulty"]:
        difficulty = nbits_difficulty(number(vector["nbits"]))

        assert difficulty == pytest.approx(vector["expected"], rel=1e-12)


def test_double_hash(vectors: Vectors) -> None:
    for vector in vectors["utils"]["double_sha256"]:
        assert sha256d(vector["input_ascii"].encode()).hex() == vector["expected"]


def test_targets_of_powers_of_two_are_exact() -> None:
    assert target_for(1) == DIFFICULTY_1_TARGET == nbits_target(0x1D00FFFF)
    for exponent in range(-32, 209):
        difficulty = 2.0**exponent
        target = min(DIFFICULTY_1_TARGET * 2**32 >> (exponent + 32), MAX_TARGET)
        assert target_for(difficulty) == target
    assert target_for(8192 / 2**32) == DIFFICULTY_1_TARGET << 19


@given(difficulty=st.floats(2.0**-60, 2.0**100))
def test_the_target_is_the_edge_of_its_difficulty(difficulty: float) -> None:
    target = target_for(difficulty)

    if target < MAX_TARGET:
        edge = difficulty_of(target.to_bytes(32, "little"))
        assert edge >= difficulty * (1 - 1e-12)
        beyond = difficulty_of((target + 1).to_bytes(32, "little"))
        assert beyond <= difficulty * (1 + 1e-12)


@given(nbits=st.integers(0x03000001, 0x207FFFFF))
def test_compact_targets_round_trip(nbits: int) -> None:
    target = nbits_target(nbits)

    if 0 < target < MAX_TARGET and not nbits & 0x800000 and nbits & 0x7F8000:
        assert nbits_for(target) == nbits


def test_extreme_values_have_an_answer() -> None:
    assert target_for(0) == MAX_TARGET
    assert difficulty_of(bytes(32)) == float("inf")
    assert nbits_difficulty(0x1D000000) == float("inf")
    assert increment_version(0x20000004, 0) == 0x20000004
    assert nbits_for(0x80) == 0x02008000  # the mantissa's top bit is a sign
    assert nbits_difficulty(0x02008000) == DIFFICULTY_1_TARGET / 0x80
