import hmac
import json
import pickle
from hashlib import sha256
from pathlib import Path
from random import Random

import pytest
from btclib_secp256k1 import ellswift, ssa, xonly
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305
from msgspec.structs import replace
from tests.each import each

from softaxe.stratum.v2.noise import (
    ANSWER_BYTES,
    PROTOCOL_NAME,
    Authority,
    Certificate,
    Ciphers,
    Initiator,
    KeyPair,
    NoiseError,
    Responder,
    authority_text,
    read_authority,
)

VECTORS = json.loads(
    (Path(__file__).parents[2] / "data" / "firmware-versions.json").read_text()
)["vectors"]
XDH = [
    (
        "e79f04ad4c684525ff3e3cf7c19f4cdb11193d387d7f3fe82a948a0c3165f5fe",
        "4eff53ea1945e57b5d170565e760d771e5d496101c1005c302fd687af80d8b858c5a681c474f"
        "c4c0546ee464a1b95899ecb9d4f50c2c0854fe029fc054ae6777",
        "824a1da0530fa695b95b375fee2a56ec96ce375ddd2fcf8367cc8ec1c0b751a3304bbef5dc96"
        "543acaac50c24be8cb39906ef8521727de0c6e96c2060a026bd7",
        True,
        "05ac09c882b2cddd57fd4a1a14f93ae78d78a2ab2adb8cb6d67176cdb3101e15",
    ),
    (
        "53a915e6d8f6c5bbb93e537081085e9e642dc525649acf05be74e3a825e20921",
        "715d7b8357dd4d15a07b3f8c6764ebd9927140f75047fb50478c33ea8889d710511cdf39aa0f"
        "d6b1e94ea660d87f9d97bffc548646f9e2aaebc1468fe563fb97",
        "cea7abc3112397b894bd3e89a615248af473f897bbdd30997c20e53e7ce499a295e55c4c5655"
        "cd3d21191e76c8af0aa1bbea10fd1b540a42d0fbed388dc59877",
        False,
        "08cbe6a86ff92a9757b2aeea92b8b2f4d78426786a2caec99c3cc73d7dda47ab",
    ),
]
"""Ours, theirs, whether we begin, and the secret. Source: BIP 324's test vectors."""
SIGNATURES = [
    (
        "00" * 31 + "03",
        "00" * 32,
        "00" * 32,
        "f9308a019258c31049344f85f89d5229b531c845836f99b08601f113bce036f9",
        "e907831f80848d1069a5371b402410364bdf1c5f8307b0084c55f1ce2dca8215"
        "25f66a4a85ea8b71e482a74f382d2ce5ebeee8fdb2172f477df4900d310536c0",
    ),
    (
        "b7e151628aed2a6abf7158809cf4f3c762e7160f38b4da56a784d9045190cfef",
        "00" * 31 + "01",
        "243f6a8885a308d313198a2e03707344a4093822299f31d0082efa98ec4e6c89",
        "dff1d77f2a671c5f36183726db2341be58feae1da2deced843240f7b502ba659",
        "6896bd60eeae296db48a229ff71dfe071bde413e6d43f917dc8dcf8c78de3341"
        "8906d11ac976abccb20b091292bff4ea897efcb639ea871cfa95f6de339e4b0a",
    ),
]
"""Secret, randomness, message, key, signature. Source: BIP 340's test vectors."""


class Ends:
    """Both ends, before they have spoken."""

    def __init__(self, *, authority: bytes | None = None, seed: int = 1) -> None:
        rng = Random(seed)
        self.authority = Authority(rng)
        self.static = KeyPair.draw(rng)
        self.keys = KeyPair.draw(rng)
        self.certificate = self.authority.certify(self.static.public)
        known = self.authority.public if authority is None else authority
        self.miner_keys = KeyPair.draw(rng)
        self.miner = Initiator(self.miner_keys, authority=known)

    def answer(self) -> tuple[bytes, Ciphers]:
        responder = Responder(
            static=self.static, certificate=self.certificate, keys=self.keys
        )
        return responder.answer(self.miner.hello)


@pytest.mark.parametrize(("secret", "ours", "theirs", "begins", "shared"), XDH)
def test_the_curves_library_agrees_with_bip_324(
    secret: str, ours: str, theirs: str, begins: bool, shared: str
) -> None:
    pair = (bytes.fromhex(ours), bytes.fromhex(theirs))
    first, second = pair if begins else reversed(pair)

    found = ellswift.xdh(first, second, bytes.fromhex(secret), 0 if begins else 1)

    assert found.hex() == shared


@pytest.mark.parametrize("vector", SIGNATURES, ids=["0", "1"])
def test_the_curves_library_agrees_with_bip_340(vector: tuple[str, ...]) -> None:
    secret, aux, message, key, signature = map(bytes.fromhex, vector)
    altered = bytes((signature[0] ^ 1,)) + signature[1:]

    assert xonly.from_prvkey(secret)[0] == key
    assert ssa.sign(message, secret, aux) == signature
    assert ssa.verify(message, key, signature)
    assert not ssa.verify(message, key, altered)


def test_the_name_hashes_to_what_the_firmware_has() -> None:
    named = sha256(PROTOCOL_NAME).digest()

    assert PROTOCOL_NAME.decode() == VECTORS["noise"]["protocol_name"]
    assert named.hex() == VECTORS["noise"]["h_after_name"]
    assert sha256(named).hexdigest() == VECTORS["noise"]["h_after_empty_prologue"]


def test_both_ends_understand_each_other() -> None:
    ends = Ends()

    answer, pool = ends.answer()
    miner = ends.miner.finish(answer)

    assert len(ends.miner.hello) == 64
    assert len(answer) == ANSWER_BYTES == 234
    for text in (b"one", b"two"):
        assert pool.incoming.decrypt(miner.outgoing.encrypt(text)) == text
        assert miner.incoming.decrypt(pool.outgoing.encrypt(text)) == text


def test_an_answer_is_what_the_description_says_line_by_line() -> None:
    """Written again from the description, without anything of ours."""

    def derive(key: bytes, secret: bytes) -> tuple[bytes, bytes]:
        prk = hmac.digest(key, secret, "sha256")
        first = hmac.digest(prk, b"\1", "sha256")
        return first, hmac.digest(prk, first + b"\2", "sha256")

    ends = Ends()
    answer, pool = ends.answer()
    e = ends.miner_keys
    re, sealed_static, sealed_certificate = answer[:64], answer[64:144], answer[144:]

    ck = bytes.fromhex(VECTORS["noise"]["h_after_name"])
    h = bytes.fromhex(VECTORS["noise"]["h_after_empty_prologue"])
    h = sha256(h + e.public).digest()
    h = sha256(h).digest()
    h = sha256(h + re).digest()
    ck, key = derive(ck, ellswift.xdh(e.public, re, e.secret, 0))
    static = ChaCha20Poly1305(key).decrypt(bytes(12), sealed_static, h)
    h = sha256(h + sealed_static).digest()
    ck, key = derive(ck, ellswift.xdh(e.public, static, e.secret, 0))
    certificate = ChaCha20Poly1305(key).decrypt(bytes(12), sealed_certificate, h)
    send, receive = derive(ck, b"")

    assert static == ends.static.public
    signed = sha256(certificate[:10] + ellswift.decode(static)[1:]).digest()
    assert ssa.verify(signed, ends.authority.public, certificate[10:])
    for number in range(3):
        nonce = bytes(4) + number.to_bytes(8, "little")
        sealed = ChaCha20Poly1305(send).encrypt(nonce, b"hello", None)
        assert pool.incoming.decrypt(sealed) == b"hello"
        sealed = pool.outgoing.encrypt(b"here")
        assert ChaCha20Poly1305(receive).decrypt(nonce, sealed, None) == b"here"


@each("at", [0, 64, 143, 144, 233])
def test_one_bit_of_the_answer_altered_ends_the_handshake(at: int) -> None:
    ends = Ends()
    answer = bytearray(ends.answer()[0])
    answer[at] ^= 1

    with pytest.raises(NoiseError):
        ends.miner.finish(bytes(answer))


def test_an_answer_of_another_length_is_none() -> None:
    ends = Ends()

    with pytest.raises(NoiseError, match="233 bytes"):
        ends.miner.finish(ends.answer()[0][:-1])


@pytest.mark.parametrize("known", [Authority(Random(9)).public, b"\xff" * 32])
def test_a_pool_of_another_authority_is_refused(known: bytes) -> None:
    ends = Ends(authority=known)

    with pytest.raises(NoiseError, match="not of the authority"):
        ends.miner.finish(ends.answer()[0])


def test_dates_are_signed_but_not_looked_at() -> None:
    ends = Ends()
    ends.certificate = ends.authority.certify(
        ends.static.public, valid_from=1, not_valid_after=2
    )

    ends.miner.finish(ends.answer()[0])

    shifted = replace(ends.certificate, not_valid_after=3)
    assert not shifted.is_signed_by(ends.authority.public, ends.static.public)
    assert Certificate.read(bytes(shifted)) == shifted


def test_a_message_is_taken_once_and_in_turn() -> None:
    ends = Ends()
    answer, pool = ends.answer()
    miner = ends.miner.finish(answer)
    first, second = miner.outgoing.encrypt(b"one"), miner.outgoing.encrypt(b"two")

    with pytest.raises(NoiseError):
        pool.incoming.decrypt(second)
    assert pool.incoming.decrypt(first) == b"one"
    with pytest.raises(NoiseError):
        pool.incoming.decrypt(first)
    with pytest.raises(NoiseError):
        pool.incoming.decrypt(b"short")


def test_a_cipher_goes_on_where_it_was_kept() -> None:
    ends = Ends()
    answer, pool = ends.answer()
    miner = ends.miner.finish(answer)
    pool.incoming.decrypt(miner.outgoing.encrypt(b"one"))

    kept = pickle.loads(pickle.dumps(miner.outgoing))

    assert pool.incoming.decrypt(kept.encrypt(b"two")) == b"two"


def test_the_same_seed_makes_the_same_keys() -> None:
    assert Ends(seed=3).answer()[0] == Ends(seed=3).answer()[0]
    assert Ends(seed=3).answer()[0] != Ends(seed=4).answer()[0]


def test_a_key_is_spelled_as_pools_do() -> None:
    key = bytes.fromhex(VECTORS["authority_key"]["xonly_hex"])

    text = authority_text(key)

    assert text == VECTORS["authority_key"]["base58check"]
    assert read_authority(text) == key


@each(
    ("text", "is_usable"),
    [
        ("9bXiEd8boQVhq7WddEcERUL5tyyJVFYdU8th3HfbNXK3Yw6GRXh", True),
        # The last letter is of the checksum, which the firmware does not look at.
        ("9bXiEd8boQVhq7WddEcERUL5tyyJVFYdU8th3HfbNXK3Yw6GRXi", True),
        ("9bXiEd8boQVhq7WddEcERUL5tyyJVFYdU8th3HfbNXK3Yw6GRX", False),
        ("8bXiEd8boQVhq7WddEcERUL5tyyJVFYdU8th3HfbNXK3Yw6GRXh", False),
        ("0bXiEd8boQVhq7WddEcERUL5tyyJVFYdU8th3HfbNXK3Yw6GRXh", False),
        ("", False),
    ],
)
def test_a_key_is_taken_as_the_firmware_takes_it(text: str, is_usable: bool) -> None:
    assert (read_authority(text) is not None) is is_usable
