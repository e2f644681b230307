"""What a pool's coinbase tells, and the addresses that a share pays."""

from contextlib import suppress

from softaxe.bitcoin.address import script_for_address
from softaxe.bitcoin.header import decode_coinbase
from softaxe.stratum.pool_job import payout_script

CORPUS = [
    bytes.fromhex(
        "01000000010000000000000000000000000000000000000000000000000000000000000000"
        "ffffffff1e03a9d90b00"
    )
    + b"/softaxe/|ffffffff",
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
    text = data.decode("utf-8", "replace")
    assert payout_script(text)
    with suppress(ValueError):
        script_for_address(text)
