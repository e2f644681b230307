from typing import Any

import pytest

from softaxe.bitcoin.address import script_for_address


def test_addresses_of_the_reference_pay_to_their_scripts(
    vectors: dict[str, Any],
) -> None:
    checked = 0
    for vector in vectors["coinbase_decode_newest"]["addresses"]:
        if vector["type"] == "OP_RETURN" or not vector["expected"].isalnum():
            continue
        assert script_for_address(vector["expected"]).hex() == vector["script"]
        checked += 1
    assert checked > 5


def test_segwit_addresses_of_the_reference(vectors: dict[str, Any]) -> None:
    for vector in vectors["coinbase_decode_newest"]["segwit"]:
        if vector["expected"] is None:  # a program that no address can hold
            continue
        program = bytes.fromhex(vector["program"])
        version = vector["witness_version"]
        opcode = 0x50 + version if version else 0

        script = script_for_address(vector["expected"])

        assert script == bytes((opcode, len(program))) + program


@pytest.mark.parametrize(
    ("address", "reason"),
    [
        ("", "checksum"),
        ("worker1", "base58|checksum"),
        ("1A1zP1eP5QGefi2DMPTfTL5SLmv7DivfNb", "checksum"),
        ("bc1qrp33g0q5c5txsp9arysrx4k6zdkfs4nce4xj0gdcccefvpysxf3qccfmv4", "checksum"),
        ("bc1QRP33g0q5c5txsp9arysrx4k6zdkfs4nce4xj0gdcccefvpysxf3qccfmv3", "mixes"),
        ("bc1", "not bech32"),
        ("1" * 60, "checksum|longer"),
        ("z" * 60, "longer"),
    ],
)
def test_what_is_no_address_is_refused_with_a_reason(address: str, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        script_for_address(address)
