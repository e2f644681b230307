import pytest

from softaxe.device.transport import unspoken


@pytest.mark.parametrize(
    ("url", "tls", "protocol", "name"),
    [
        ("pool.example", 0, "SV1", ""),
        ("stratum+tcp://pool.example:3333", 0, "SV1", ""),
        ("ssl-pool2.example", 0, "SV1", ""),
        ("pool.example", 2, "SV1", "TLS"),
        ("stratum+ssl://pool.example", 0, "SV1", "TLS"),
        ("Stratum+TLS://pool.example", 0, "SV1", "TLS"),
        ("pool.example", 0, "SV2", "Stratum v2"),
        ("pool.example", 1, "SV2", "Stratum v2"),
        ("stratum2+tcp://pool.example:34254/key", 0, "SV1", "Stratum v2"),
    ],
)
def test_what_is_not_spoken_has_a_name(
    url: str, tls: int, protocol: str, name: str
) -> None:
    assert unspoken(url=url, tls=tls, protocol=protocol) == name
