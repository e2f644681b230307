from typing import Any

import pytest
from tests.each import each

from softaxe.bitcoin.address import (
    Network,
    address_of,
    base58_address,
    base58_bytes,
    base58check,
    script_for_address,
    segwit_address,
)

Vectors = dict[str, Any]


def test_addresses_of_the_reference_pay_to_their_scripts(vectors: Vectors) -> None:
    for vector in vectors["coinbase_decode_newest"]["addresses"]:
        if vector["type"] == "OP_RETURN":  # pays to no address
            continue
        assert script_for_address(vector["expected"]).hex() == vector["script"]
        network = {
            "main": Network.MAIN,
            "test": Network.TEST,
            "regtest": Network.REGTEST,
        }[vector["network"]]
        script = bytes.fromhex(vector["script"])
        assert address_of(script, network) == vector["expected"]


def test_base58_addresses_of_the_reference(vectors: Vectors) -> None:
    around = {0: ("76a914", "88ac"), 5: ("a914", "87")}
    for vector in vectors["coinbase_decode_newest"]["base58"]:
        before, after = around[vector["version"]]

        script = script_for_address(vector["expected"])

        assert script.hex() == before + vector["hash"] + after
        hash_ = bytes.fromhex(vector["hash"])
        assert base58_address(vector["version"], hash_) == vector["expected"]


def test_segwit_addresses_of_the_reference(vectors: Vectors) -> None:
    for vector in vectors["coinbase_decode_newest"]["segwit"]:
        program = bytes.fromhex(vector["program"])
        version = vector["witness_version"]
        if vector["expected"] is None:  # a program that no address can hold
            with pytest.raises(ValueError, match="address"):
                segwit_address(vector["hrp"], version, program)
            continue
        address = segwit_address(vector["hrp"], version, program)
        assert address == vector["expected"]
        opcode = 0x50 + version if version else 0

        script = script_for_address(vector["expected"])

        assert script == bytes((opcode, len(program))) + program


@each(
    ("address", "script"),
    [  # BIP 350, valid addresses
        (
            "BC1QW508D6QEJXTDG4Y5R3ZARVARY0C5XW7KV8F3T4",
            "0014751e76e8199196d454941c45d1b3a323f1433bd6",
        ),
        ("BC1SW50QGDZ25J", "6002751e"),
        (
            "bc1zw508d6qejxtdg4y5r3zarvaryvaxxpcs",
            "5210751e76e8199196d454941c45d1b3a323",
        ),
    ],
)
def test_segwit_in_capitals_and_of_later_versions(address: str, script: str) -> None:
    assert script_for_address(address).hex() == script


@each(
    ("address", "reason"),
    [
        ("", "0 bytes, not 25"),
        ("worker_1", "'_' is no base58"),
        ("1A1zP1eP5QGefi2DMPTfTL5SLmv7DivfNb", "checksum"),
        ("11A1zP1eP5QGefi2DMPTfTL5SLmv7DivfNa", "26 bytes"),
        ("A1zP1eP5QGefi2DMPTfTL5SLmv7DivfNa", "24 bytes"),
        ("LKDyUEtTR1HXamkiEphisSiBJu6o3ZPE34", "version 48"),
        ("z" * 91, "longer"),
        ("1A1zP1eP5QGefi2DMPTfTL5SLmv7Divf\u212a", "ASCII"),
        ("bc1qrp33g0q5c5txsp9arysrx4k6zdkfs4nce4xj0gdcccefvpysxf3qccfmv4", "checksum"),
        ("bc1QRP33g0q5c5txsp9arysrx4k6zdkfs4nce4xj0gdcccefvpysxf3qccfmv3", "mixes"),
        ("bc1", "not bech32"),
        # BIP 350, invalid addresses: the other checksum, program sizes, padding.
        ("bc1p0xlxvlhemja6c4dqv22uapctqupfhlxm9h8z3k2e72q4k9hcz7vqh2y7hd", "checksum"),
        ("bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kemeawh", "checksum"),
        ("BC130XLXVLHEMJA6C4DQV22UAPCTQUPFHLXM9H8Z3K2E72Q4K9HCZ7VQ7ZWS8R", "17"),
        ("bc1pw5dgrnzv", "no witness version 1 program"),
        ("BC1QR508D6QEJXTDG4Y5R3ZARVARYV98GJ9P", "16 bytes, not 20 or 32"),
        ("bc1p0xlxvlhemja6c4dqv22uapctqupfhlxm9h8z3k2e72q4k9hcz7v07qwwzcrf", "padding"),
        ("tb1p0xlxvlhemja6c4dqv22uapctqupfhlxm9h8z3k2e72q4k9hcz7vpggkg4j", "padding"),
    ],
)
def test_what_is_no_address_is_refused_with_a_reason(address: str, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        script_for_address(address)


@each("data", [b"", b"\0\0\1", bytes(range(40))])
def test_base58_is_read_as_it_was_written(data: bytes) -> None:
    assert base58_bytes(base58check(data))[:-4] == data
