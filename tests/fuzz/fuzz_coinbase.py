"""What a pool's coinbase tells, and the addresses that a share pays."""

from contextlib import suppress

from softaxe.bitcoin.address import script_for_address
from softaxe.bitcoin.coinbase import decode_coinbase, decode_outputs, network_of
from softaxe.stratum.pool_job import payout_script

CORPUS = [
    bytes.fromhex(
        "01000000010000000000000000000000000000000000000000000000000000000000000000"
        "ffffffff1e03a9d90b00"
    )
    + b"/softaxe/|\xff\xff\xff\xff\x02"
    + b"\1\2\3\4\0\0\0\0\x16\0\x14abcdefghijklmnopqrst"
    + b"\0\0\0\0\0\0\0\0\x05\x6a\3abc\0\0\0\0",
    b"bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4",
    b"1A1zP1eP5QGefi2DMPTfTL5SLmv7DivfNa.worker",
    b"BC1SW50QGDZ25J",
]
RUNS = 1000


def one_input(data: bytes) -> None:
    first, _, second = data.partition(b"|")
    for size in (0, 4, 12, 100):
        info = decode_coinbase(first, second, size)
        if info is not None and info.scriptsig is not None:
            assert info.scriptsig.isprintable()
    user = data[-60:].decode("latin-1")
    for at in (0, 5):
        outputs = decode_outputs(second, at, user=user, network=network_of(user))
        if outputs is not None:
            assert outputs.user_sat <= outputs.total_sat
            assert all(one.address.isprintable() for one in outputs.first)
    text = data.decode("utf-8", "replace")
    assert payout_script(text)
    with suppress(ValueError):
        script_for_address(text)
