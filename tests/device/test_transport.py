from tests.each import each

from softaxe.catalog.firmware import firmware
from softaxe.device.transport import Tls, authority_in, refused, speaks_v2, tls_mode

OLD, TLS, NEW = (firmware(version).rows for version in ("2.12.2", "2.13.2", "2.15.0"))
NO_TLS = "it asks for TLS, which firmware has from 2.13 on"
NO_V2 = "it asks for Stratum v2, which firmware has from 2.14 on"


@each(
    ("url", "whys"),
    [
        ("pool.example", ("", "", "")),
        ("ssl-pool2.example", ("", "", "")),
        ("stratum+tcp://pool.example:3333", ("", "", "")),
        ("TCP://ssl-pool2.example", ("", "", "")),
        ("stratum+ssl://pool.example", (NO_TLS, "", "")),
        ("Stratum+TLS://pool.example", (NO_TLS, "", "")),
        ("stratum2+tcp://pool.example:34254/key", (NO_V2, NO_V2, "")),
        ("http://pool.example", ("no pool is spoken to in http",) * 3),
        ("://pool.example", ("", "", "")),
    ],
)
def test_a_url_may_ask_for_what_a_release_cannot_do(
    url: str, whys: tuple[str, str, str]
) -> None:
    assert tuple(refused(url, rows) for rows in (OLD, TLS, NEW)) == whys


@each(
    ("url", "tls", "modes"),
    [
        ("pool.example", 0, (Tls.OFF, Tls.OFF)),
        ("pool.example", 1, (Tls.OFF, Tls.AUTHORITIES)),
        ("pool.example", 2, (Tls.OFF, Tls.CERTIFICATE)),
        ("pool.example", 3, (Tls.OFF, Tls.NEVER)),
        ("pool.example", 70, (Tls.OFF, Tls.NEVER)),
        ("stratum+tcp://pool.example", 1, (Tls.OFF, Tls.AUTHORITIES)),
        ("stratum+ssl://pool.example", 0, (Tls.AUTHORITIES, Tls.AUTHORITIES)),
        ("stratum+ssl://pool.example", 2, (Tls.AUTHORITIES, Tls.CERTIFICATE)),
    ],
)
def test_what_asks_for_encryption_gets_it(
    url: str, tls: int, modes: tuple[Tls, Tls]
) -> None:
    assert tuple(tls_mode(url, tls, rows) for rows in (OLD, TLS)) == modes


@each(
    ("url", "protocol", "speaks"),
    [
        ("stratum+ssl://pool2.example", "SV1", False),
        ("pool.example", "SV2", True),
        ("", "SV2", True),
        ("stratum2+tcp://pool.example:34254/key", "SV1", True),
    ],
)
def test_v2_is_asked_for_by_setting_or_url(
    url: str, protocol: str, *, speaks: bool
) -> None:
    assert speaks_v2(url, protocol, NEW) is speaks
    assert not speaks_v2(url, protocol, TLS)


def test_a_key_may_stand_behind_a_url() -> None:
    assert authority_in("stratum2+tcp://pool.example:34254/key") == "key"
    assert authority_in("stratum2+tcp://pool.example") == ""
    assert authority_in("stratum+tcp://pool.example/key") == ""
