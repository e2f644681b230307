import hashlib
import random

from softaxe.bitcoin.sha256 import INITIAL_STATE, compress


def test_blocks_in_a_row_make_sha_256() -> None:
    rng = random.Random(1)
    for size in (0, 1, 55, 56, 63, 64, 65, 119, 200):
        message = rng.randbytes(size)
        padded = message + b"\x80"
        padded += bytes(-(len(padded) + 8) % 64) + (8 * size).to_bytes(8)

        state = INITIAL_STATE
        for start in range(0, len(padded), 64):
            state = compress(state, padded[start : start + 64])

        assert state == hashlib.sha256(message).digest()
