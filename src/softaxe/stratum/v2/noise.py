"""The encryption of Stratum v2: a handshake after which both ends have two ciphers.

The miner says 64 bytes; the pool answers 234 with its static key and a certificate for
it, signed by an *authority* whose key miners may know. Bytes in, bytes out; keys are
drawn from the generator that is passed in, so that a run can be repeated: what is said
here is no secret to those who know the seed.
Source: Stratum v2, Protocol Security; BIP 324, BIP 340.
"""

import hmac
from hashlib import sha256
from random import Random
from struct import Struct

import msgspec
from btclib_secp256k1 import ellswift, ssa, xonly
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305

from softaxe.bitcoin.address import base58_bytes, base58check
from softaxe.errors import StratumError

PROTOCOL_NAME = b"Noise_NX_Secp256k1+EllSwift_ChaChaPoly_SHA256"
KEY_BYTES = 64
"""Of a public key in ElligatorSwift's form, any bytes of this length are one."""
MAC_BYTES = 16
HELLO_BYTES = KEY_BYTES
CERTIFICATE_BYTES = 74
ANSWER_BYTES = KEY_BYTES + KEY_BYTES + MAC_BYTES + CERTIFICATE_BYTES + MAC_BYTES
FOREVER = 0xFFFFFFFF
"""The last second that a certificate can name."""
_ORDER = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141
"""Of the group of secp256k1; a secret key lies between."""
_AUTHORITY_PREFIX = b"\x01\x00"
_AUTHORITY_BYTES = 38
"""Prefix, key and checksum."""
_AUTHORITY_LETTERS = (51, 52)
_DATES = Struct("<HII")
_NONCE = Struct("<4xQ")


class NoiseError(StratumError):
    """A handshake fails, or a message was not encrypted by the peer."""


class KeyPair(msgspec.Struct, frozen=True):
    """A secret key and its public key."""

    secret: bytes
    public: bytes
    """In ElligatorSwift's form."""

    @classmethod
    def draw(cls, rng: Random) -> "KeyPair":
        """Make one."""
        secret = _secret(rng)
        return cls(secret, ellswift.create(secret, rng.randbytes(32)))


class Certificate(msgspec.Struct, frozen=True):
    """What the authority says of a pool's static key."""

    version: int
    valid_from: int
    """Unix seconds."""
    not_valid_after: int
    """Unix seconds."""
    signature: bytes

    @classmethod
    def read(cls, data: bytes) -> "Certificate":
        """Take it from its 74 bytes."""
        version, valid_from, not_valid_after = _DATES.unpack_from(data)
        return cls(version, valid_from, not_valid_after, data[_DATES.size :])

    def __bytes__(self) -> bytes:
        return self._dates + self.signature

    def is_signed_by(self, authority: bytes, static: bytes) -> bool:
        """Tell whether an authority signed it for a static key.

        As the firmware does: neither dates nor version are looked at.

        Args:
            authority: The authority's x-only public key; need not be one.
            static: The pool's, in ElligatorSwift's form.
        """
        try:
            return ssa.verify(self._signed(static), authority, self.signature)
        except ValueError:  # no point of the curve has this x
            return False

    @property
    def _dates(self) -> bytes:
        return _DATES.pack(self.version, self.valid_from, self.not_valid_after)

    def _signed(self, static: bytes) -> bytes:
        return sha256(self._dates + _x_of(static)).digest()


class Authority:
    """Who vouches for pools."""

    def __init__(self, rng: Random) -> None:
        self._secret = _secret(rng)
        self.public, _ = xonly.from_prvkey(self._secret)
        """X-only."""
        self.text = authority_text(self.public)
        """The public key as pools publish it and miners are told."""

    def certify(
        self, static: bytes, *, valid_from: int = 0, not_valid_after: int = FOREVER
    ) -> Certificate:
        """Sign a pool's static key, in ElligatorSwift's form."""
        draft = Certificate(0, valid_from, not_valid_after, b"")
        signature = ssa.sign(draft._signed(static), self._secret, bytes(32))
        return Certificate(0, valid_from, not_valid_after, signature)


def authority_text(public: bytes) -> str:
    """Spell an x-only key in base58check."""
    return base58check(_AUTHORITY_PREFIX + public)


def read_authority(text: str) -> bytes | None:
    """Take the x-only key from a setting as the firmware does; None if unusable.

    The checksum is not looked at.
    """
    if len(text) not in _AUTHORITY_LETTERS:
        return None
    try:
        data = base58_bytes(text)
    except ValueError:
        return None
    if len(data) != _AUTHORITY_BYTES or not data.startswith(_AUTHORITY_PREFIX):
        return None
    return data[len(_AUTHORITY_PREFIX) : -4]


class Cipher:
    """One direction: every message has the number after the last one's.

    Args:
        key: Of 32 bytes.
        number: Of the next message.
    """

    __slots__ = ("_aead", "_key", "_number")

    def __init__(self, key: bytes, number: int = 0) -> None:
        self._key = key
        self._aead = ChaCha20Poly1305(key)
        self._number = number

    def __reduce__(self) -> tuple[type["Cipher"], tuple[bytes, int]]:
        """Let it be pickled: a snapshot of a device has its ciphers, too."""
        return Cipher, (self._key, self._number)

    def encrypt(self, data: bytes, aad: bytes | None = None) -> bytes:
        """Make a message, `MAC_BYTES` longer than what it says."""
        sealed = self._aead.encrypt(_NONCE.pack(self._number), data, aad)
        self._number += 1
        return sealed

    def decrypt(self, data: bytes, aad: bytes | None = None) -> bytes:
        """Read a message.

        Raises:
            NoiseError: It is not the peer's next one.
        """
        try:
            opened = self._aead.decrypt(_NONCE.pack(self._number), data, aad)
        except (InvalidTag, ValueError) as error:
            raise NoiseError("not encrypted by the peer, or not in turn") from error
        self._number += 1
        return opened


class Ciphers(msgspec.Struct, frozen=True):
    """Of an end of a connection after the handshake."""

    outgoing: Cipher
    incoming: Cipher


class _Handshake:
    """What both ends hash and derive alike. Source: the Noise Protocol Framework."""

    def __init__(self) -> None:
        self.chaining_key = sha256(PROTOCOL_NAME).digest()
        self.hash = sha256(self.chaining_key).digest()  # of an empty prologue
        self._cipher: Cipher | None = None

    def mix_hash(self, data: bytes) -> None:
        self.hash = sha256(self.hash + data).digest()

    def mix_key(self, secret: bytes) -> None:
        self.chaining_key, key = hkdf(self.chaining_key, secret)
        self._cipher = Cipher(key)

    def encrypt(self, data: bytes) -> bytes:
        assert self._cipher is not None
        sealed = self._cipher.encrypt(data, self.hash)
        self.mix_hash(sealed)
        return sealed

    def decrypt(self, data: bytes) -> bytes:
        assert self._cipher is not None
        opened = self._cipher.decrypt(data, self.hash)
        self.mix_hash(data)
        return opened

    def split(self) -> tuple[Cipher, Cipher]:
        """Return the ciphers of what the miner says, and of what the pool says."""
        first, second = hkdf(self.chaining_key, b"")
        return Cipher(first), Cipher(second)


class Initiator:
    """The miner's end: send `hello`, pass what comes to `finish`.

    Args:
        keys: For this connection alone.
        authority: Whose signature the pool must have; None takes any pool.
    """

    def __init__(self, keys: KeyPair, *, authority: bytes | None) -> None:
        self._keys = keys
        self._authority = authority
        self._state = _Handshake()
        self.hello = keys.public
        """What to send."""
        self._state.mix_hash(self.hello)
        self._state.mix_hash(b"")  # an empty payload

    def finish(self, answer: bytes) -> Ciphers:
        """Take the pool's `ANSWER_BYTES`.

        Raises:
            NoiseError: It is no answer to our hello, or not of a pool for which the
                authority vouches.
        """
        if len(answer) != ANSWER_BYTES:
            raise NoiseError(f"an answer of {len(answer)} bytes, not {ANSWER_BYTES}")
        state, keys = self._state, self._keys
        theirs, rest = answer[:KEY_BYTES], answer[KEY_BYTES:]
        sealed_static = rest[: KEY_BYTES + MAC_BYTES]
        state.mix_hash(theirs)
        state.mix_key(_shared(keys, theirs, is_initiator=True))
        static = state.decrypt(sealed_static)
        state.mix_key(_shared(keys, static, is_initiator=True))
        certificate = Certificate.read(state.decrypt(rest[len(sealed_static) :]))
        authority = self._authority
        if authority is not None and not certificate.is_signed_by(authority, static):
            raise NoiseError("the pool's certificate is not of the authority")
        outgoing, incoming = state.split()
        return Ciphers(outgoing, incoming)


class Responder:
    """The pool's end.

    Args:
        static: The pool's own.
        certificate: Its authority's word for that.
        keys: For this connection alone.
    """

    def __init__(
        self, *, static: KeyPair, certificate: Certificate, keys: KeyPair
    ) -> None:
        self._static = static
        self._certificate = certificate
        self._keys = keys

    def answer(self, hello: bytes) -> tuple[bytes, Ciphers]:
        """Take the miner's `HELLO_BYTES`; return what to say to it."""
        state, keys, static = _Handshake(), self._keys, self._static
        state.mix_hash(hello)
        state.mix_hash(b"")
        state.mix_hash(keys.public)
        state.mix_key(_shared(keys, hello, is_initiator=False))
        sealed_static = state.encrypt(static.public)
        state.mix_key(_shared(static, hello, is_initiator=False))
        sealed_certificate = state.encrypt(bytes(self._certificate))
        incoming, outgoing = state.split()
        answer = keys.public + sealed_static + sealed_certificate
        return answer, Ciphers(outgoing, incoming)


def hkdf(chaining_key: bytes, secret: bytes) -> tuple[bytes, bytes]:
    """Derive two keys. Source: RFC 5869, without any info."""
    prk = hmac.digest(chaining_key, secret, "sha256")
    first = hmac.digest(prk, b"\x01", "sha256")
    return first, hmac.digest(prk, first + b"\x02", "sha256")


def _shared(ours: KeyPair, theirs: bytes, *, is_initiator: bool) -> bytes:
    """The secret that both ends find from one's secret and the other's public key."""
    first, second = (ours.public, theirs) if is_initiator else (theirs, ours.public)
    return ellswift.xdh(first, second, ours.secret, 0 if is_initiator else 1)


def _secret(rng: Random) -> bytes:
    return rng.randrange(1, _ORDER).to_bytes(32)


def _x_of(public: bytes) -> bytes:
    return ellswift.decode(public)[1:]
