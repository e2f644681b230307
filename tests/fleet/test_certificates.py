import stat
import sys
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtensionOID

from softaxe.errors import SettingError
from softaxe.fleet.certificates import Certificate, kept, make, server_context


def test_a_certificate_names_whom_it_is_for_and_signs_itself() -> None:
    made = make(["pool.example", "127.0.0.1", "::1", "pool.example"])

    found = x509.load_pem_x509_certificate(made.pem.encode())
    found.verify_directly_issued_by(found)
    names = found.extensions.get_extension_for_oid(
        ExtensionOID.SUBJECT_ALTERNATIVE_NAME
    ).value
    assert isinstance(names, x509.SubjectAlternativeName)
    assert [str(name.value) for name in names] == ["pool.example", "127.0.0.1", "::1"]
    key = found.public_key()
    assert isinstance(key, ec.EllipticCurvePublicKey)
    assert key.curve.name == "secp256r1", "what miners understand"
    assert len(made.pem) < 1000, "a pool slot has 3000 bytes for it"
    server_context(made)


def test_only_a_seed_makes_the_same_again() -> None:
    assert make(["a"], seed=1) == make(["a"], seed=1)
    assert make(["a"], seed=1) != make(["a"], seed=2)
    assert make(["a"]).key_pem != make(["a"]).key_pem
    assert "PRIVATE" not in repr(make(["a"]))


def test_files_are_made_once_and_read_then(tmp_path: Path) -> None:
    cert, key = tmp_path / "pool.pem", tmp_path / "pool.key"

    made = kept(cert, key, ["a"])

    assert kept(cert, key, ["b"]).key_pem == made.key_pem
    assert kept(cert, key, ["b"]).pem == made.pem.strip()
    if sys.platform != "win32":
        assert stat.S_IMODE(key.stat().st_mode) == 0o600
    cert.write_text(made.key_pem + made.pem, encoding="ascii")
    assert kept(cert, key, ["b"]).pem == made.pem.strip(), "a key is shown to nobody"
    key.unlink()
    with pytest.raises(SettingError, match=r"pool\.key"):
        kept(cert, key, ["a"])


def test_what_does_not_belong_together_is_refused() -> None:
    one, other = make(["a"]), make(["a"])

    for wrong in (Certificate(one.pem, other.key_pem), Certificate("", "")):
        with pytest.raises(SettingError, match="no certificate with its key"):
            server_context(wrong)
