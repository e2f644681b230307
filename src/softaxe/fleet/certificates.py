"""Certificates with which a pool of ours shows miners who it is.

One signs itself: who is to trust it gets it, as `stratumCert`. Loaded when a pool is to
be reached by TLS.
"""

import datetime
import os
import random
import re
import ssl
import tempfile
from collections.abc import Iterable
from ipaddress import ip_address
from pathlib import Path
from typing import NamedTuple

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
)
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from softaxe.errors import SettingError

FIRST_DAY = datetime.datetime(2020, 1, 1, tzinfo=datetime.UTC)
LAST_DAY = datetime.datetime(2120, 1, 1, tzinfo=datetime.UTC)
"""Longer than any test double lives."""
_CURVE = ec.SECP256R1()
_USAGE = x509.KeyUsage(
    digital_signature=True,
    key_cert_sign=True,
    content_commitment=False,
    key_encipherment=False,
    data_encipherment=False,
    key_agreement=False,
    crl_sign=False,
    encipher_only=False,
    decipher_only=False,
)
_CERTIFICATES = re.compile(
    "-----BEGIN CERTIFICATE-----.*?-----END CERTIFICATE-----", re.DOTALL
)


class Certificate(NamedTuple):
    """A certificate and its key, as PEM."""

    pem: str
    key_pem: str

    def __repr__(self) -> str:
        return f"<{type(self).__name__}>"  # no key in any trace


def make(
    hosts: Iterable[str],
    *,
    seed: int | None = None,
    until: datetime.datetime = LAST_DAY,
) -> Certificate:
    """Make one that signs itself, of few bytes and for what miners understand: P-256.

    Args:
        hosts: Names and addresses under which the pool is reached.
        seed: Of the key, for one that nobody is kept from guessing: the same again in
            every run. None for a key of its own.
        until: Its last day.
    """
    names = [_name_of(host) for host in dict.fromkeys(hosts)]
    serial = x509.random_serial_number()
    key = ec.generate_private_key(_CURVE)
    if seed is not None:
        rng = random.Random(f"certificate {seed}")
        key = ec.derive_private_key(rng.randrange(1, 1 << 255), _CURVE)
        serial = rng.randrange(1, 1 << 159)
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "softaxe pool")])
    public = key.public_key()
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(public)
        .serial_number(serial)
        .not_valid_before(FIRST_DAY)
        .not_valid_after(until)
    )
    for extension, is_critical in (
        (x509.SubjectAlternativeName(names), False),
        (x509.BasicConstraints(ca=True, path_length=0), True),
        (_USAGE, True),
        (x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), False),
        (x509.SubjectKeyIdentifier.from_public_key(public), False),
        (x509.AuthorityKeyIdentifier.from_issuer_public_key(public), False),
    ):
        builder = builder.add_extension(extension, critical=is_critical)
    certificate = builder.sign(key, hashes.SHA256(), ecdsa_deterministic=True)
    key_pem = key.private_bytes(
        Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()
    ).decode()
    return Certificate(certificate.public_bytes(Encoding.PEM).decode(), key_pem)


def kept(cert: Path, key: Path, hosts: Iterable[str]) -> Certificate:
    """Read a certificate and its key, or make both files when neither is there.

    Raises:
        SettingError: One of them is missing, or they cannot be read or written.
    """
    try:
        if cert.exists() or key.exists():
            found = _CERTIFICATES.findall(
                cert.read_text(encoding="ascii", errors="replace")
            )
            # A key that stands there, too, is shown to nobody.
            return Certificate("\n".join(found), key.read_text(encoding="ascii"))
        made = make(hosts)
        handle = os.open(key, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with open(handle, "w", encoding="ascii") as file:
            file.write(made.key_pem)
        cert.write_text(made.pem, encoding="ascii")
    except (OSError, ValueError) as error:
        raise SettingError(f"{cert}, {key}: {error}") from error
    return made


def server_context(certificate: Certificate) -> ssl.SSLContext:
    """Make what a listener encrypts with: TLS 1.2 and 1.3.

    Raises:
        SettingError: Certificate and key are none, or not each other's.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    with tempfile.TemporaryDirectory() as folder:  # `ssl` takes keys from files alone
        path = Path(folder) / "chain.pem"
        path.touch(0o600)
        path.write_text(f"{certificate.pem}\n{certificate.key_pem}", encoding="ascii")
        try:
            context.load_cert_chain(path, password="")  # asks nobody for one
        except (ssl.SSLError, OSError) as error:
            raise SettingError(f"no certificate with its key: {error}") from error
    return context


def _name_of(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ip_address(host))
    except ValueError:
        return x509.DNSName(host.encode("idna").decode())
