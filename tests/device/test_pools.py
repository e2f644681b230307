import json
from itertools import pairwise
from random import Random

import pytest
from tests.each import each
from tests.pool_lines import NOTIFY as JOB
from tests.pool_lines import SUBSCRIBED as SUBSCRIPTION

from softaxe.catalog import board
from softaxe.catalog.firmware import firmware
from softaxe.device.events import ClosePool, CloseReason, ConnectPool, Link
from softaxe.device.pools import PoolLost, Pools, PoolsReachable, dial_target
from softaxe.device.profile import DOCUMENTED, FIRMWARE, Profile
from softaxe.device.setting_rules import Value
from softaxe.device.settings import Settings
from softaxe.stratum.session import Session
from softaxe.units import NEVER, Level

BOARD = board("601")
PRIMARY: dict[str, Value] = {"stratum_url": "one.example", "stratum_port": 1111}
FALLBACK: dict[str, Value] = {
    "fallback_stratum_url": "two.example",
    "fallback_stratum_port": 2222,
}
SUBSCRIBED = b'{"id":1,"result":[[["mining.notify","1"]],"00",4],"error":null}\n'
SETUP_REPLY = b'{"id":3,"result":true,"error":null}\n'


class Bench:
    """Pools in a network that a test controls."""

    def __init__(
        self,
        *,
        profile: Profile = DOCUMENTED,
        version: str = "2.12.2",
        **changes: Value,
    ) -> None:
        factory = Settings.from_nvs({}, BOARD)
        self.lines: list[str] = []
        self.pools = Pools(
            factory.changed({**PRIMARY, **FALLBACK, **changes}),
            board=BOARD,
            firmware_version=f"v{version}",
            rows=firmware(version).rows,
            profile=profile,
            rng=Random(1),
            log=self.log,
        )
        self.requests: list[tuple[float, ConnectPool | ClosePool]] = []
        self.now = 0.0
        self.has_wifi = True
        self.reachable: set[str] = set()
        self.unreachable = CloseReason.UNREACHABLE, "errno 111: Connection refused"
        self.pools.start(0.0)

    def log(self, level: Level, tag: str, text: str) -> None:
        self.lines.append(text)

    def advance(self, until: float) -> None:
        self.answer()
        while (due := self.pools.next_wake) <= until:
            self.now = due
            self.pools.step(due, has_wifi=self.has_wifi)
            self.answer()
        self.now = until

    def answer(self) -> None:
        while self.pools.requests:
            request = self.pools.requests.pop(0)
            self.requests.append((self.now, request))
            if not isinstance(request, ConnectPool):
                continue
            self.pools.resolved("10.0.0.1", self.now, link=request.link)
            if request.host in self.reachable:
                self.pools.connected(self.now, link=request.link, family=2, scale=1)
            else:
                reason, detail = self.unreachable
                self.close(reason, request.link, detail)

    def close(self, reason: CloseReason, link: Link, detail: str = "gone") -> None:
        self.pools.closed(reason, self.now, link=link, detail=detail)

    def hear(self, data: bytes, link: Link = Link.MAIN) -> None:
        self.pools.received(data, self.now, link=link)

    def dials(self, link: Link = Link.MAIN) -> list[tuple[float, str]]:
        return [
            (round(at, 3), request.host)
            for at, request in self.requests
            if isinstance(request, ConnectPool) and request.link is link
        ]


def test_the_first_dial_comes_after_the_socket_pause() -> None:
    bench = Bench()
    bench.reachable.add("one.example")
    bench.advance(1.0)

    assert bench.dials() == [(0.3, "one.example")]
    assert bench.pools.is_connected
    assert bench.pools.address_family == 2
    assert "Socket created, connecting to 10.0.0.1:1111" in bench.lines
    assert bench.pools.data_to_pool(Link.MAIN, 0.0).count(b"\n") == 3


def test_three_failures_lead_to_the_fallback_and_back() -> None:
    bench = Bench()
    bench.advance(60.0)

    hosts = [host for _, host in bench.dials()]
    assert hosts[:7] == ["one.example"] * 3 + ["two.example"] * 3 + ["one.example"]
    gaps = [
        b - a for (a, _), (b, _) in zip(bench.dials(), bench.dials()[1:], strict=False)
    ]
    assert gaps == pytest.approx([5.3] * len(gaps))
    assert "Switching target due to too many failures (retries: 3)..." in bench.lines


@each(
    ("version", "profile", "counted"),
    [
        ("2.12.2", DOCUMENTED, 1),
        ("2.12.2", FIRMWARE, 0),
        ("2.14.2", DOCUMENTED, 1),
        ("2.14.2", FIRMWARE, 0),
        ("2.15.0", FIRMWARE, 1),
    ],
)
def test_the_first_share_counts_where_none_was_suggested(
    version: str, profile: Profile, counted: int
) -> None:
    bench = Bench(
        profile=profile.on(firmware(version)),
        version=version,
        stratum_suggested_difficulty=0,
    )
    bench.reachable.add("one.example")
    bench.advance(1.0)
    bench.hear(SETUP_REPLY)
    session = bench.pools.session
    assert isinstance(session, Session)

    number = session.submit(
        job_id="1", extranonce2=b"", ntime=1, nonce=2, version_bits=0, now=1.0
    )
    bench.hear(b'{"id":%d,"result":true,"error":null}\n' % number)

    assert (number, bench.pools.shares.accepted) == (4, counted)


def test_each_try_is_told_before_it_fails() -> None:
    bench = Bench()
    bench.advance(10.0)

    refused = "(errno 111: Connection refused)"
    told = [
        "Connecting to: stratum+tcp://one.example:1111 (10.0.0.1)",
        "Socket created, connecting to 10.0.0.1:1111",
        f"Socket unable to connect to one.example:1111 {refused}",
    ]
    assert bench.lines[2:] == told * 2


def test_a_name_without_address_is_tried_again_after_a_second() -> None:
    bench = Bench()
    bench.pools.requests.clear()
    bench.advance(0.29)
    bench.pools.step(0.3, has_wifi=True)
    bench.pools.requests.clear()
    bench.now = 0.3

    bench.close(CloseReason.UNRESOLVED, Link.MAIN, "Name or service not known")

    assert bench.pools.next_wake == pytest.approx(1.3)
    assert "Address resolution failed for one.example" in bench.lines


def test_without_fallback_it_stays_with_the_primary() -> None:
    bench = Bench(fallback_stratum_url="")
    bench.advance(60.0)

    assert {host for _, host in bench.dials()} == {"one.example"}
    assert any("No url configured" in line for line in bench.lines)


def test_a_failover_forgets_the_share_counters() -> None:
    bench = Bench(profile=FIRMWARE)
    bench.reachable = {"one.example", "two.example"}
    bench.advance(1.0)
    bench.hear(b'{"id":7,"result":false,"error":null}\n')
    assert bench.pools.shares.rejected == 1
    bench.reachable.discard("one.example")
    bench.close(CloseReason.CLOSED, Link.MAIN)
    bench.advance(20.0)

    assert bench.pools.is_using_fallback
    assert bench.pools.shares.rejected == 0
    assert bench.pools.shares.rejected_reasons == []


def test_a_setup_reply_forgets_the_failures() -> None:
    bench = Bench()
    bench.advance(7.0)  # two failures
    bench.reachable.add("one.example")
    bench.advance(12.0)
    bench.hear(SETUP_REPLY)
    bench.reachable.clear()
    bench.close(CloseReason.CLOSED, Link.MAIN)
    bench.advance(20.0)

    assert not bench.pools.is_using_fallback


def test_a_silent_pool_is_given_up_after_three_minutes() -> None:
    bench = Bench()
    bench.reachable.add("one.example")
    bench.advance(180.2)
    assert bench.pools.is_connected

    bench.advance(180.4)

    assert not bench.pools.is_connected
    assert "Failed to receive JSON-RPC line, reconnecting..." in bench.lines
    assert (180.3, ClosePool(Link.MAIN)) in [
        (round(at, 3), request) for at, request in bench.requests
    ]


@each(
    ("version", "dialled_after_s", "silence_s", "info"),
    [
        ("2.8.1", 0.0, 600.0, "ipv4 only"),
        ("2.10.1", 0.3, 600.0, "ipv4 only"),
        ("2.12.2", 0.3, 180.0, "ipv6"),
        ("2.13.2", 0.0, NEVER, "ipv4"),
    ],
)
def test_every_version_dials_and_waits_for_its_own_time(
    version: str, dialled_after_s: float, silence_s: float, info: str
) -> None:
    bench = Bench(version=version)
    bench.reachable = {"one.example"}
    assert bench.pools.connection_info == "Not Connected"
    bench.advance(0.3)

    ((at, request),) = bench.requests
    assert isinstance(request, ConnectPool)
    assert (at, request.addresses) == (dialled_after_s, info)
    assert request.timeout_s == (5.0 if version == "2.13.2" else None)
    assert bench.pools.connection_info == "IPv4"

    bench.advance(dialled_after_s + min(silence_s, 10_000) - 0.1)
    assert bench.pools.is_connected
    bench.advance(dialled_after_s + silence_s if silence_s != NEVER else 20_000.0)
    assert bench.pools.is_connected is (silence_s == NEVER)
    assert bench.pools.connection_info == "IPv4"


CLOSED = "errno 128: Socket is not connected"


@each(
    ("version", "lines"),
    [
        (
            "2.12.2",
            (
                "Socket created, connecting to 10.0.0.1:1111",
                "Socket unable to connect to one.example:1111 "
                "(errno 111: Connection refused)",
                f"Error: recv ({CLOSED})",
                "Unable to write share to socket. Closing connection. "
                "Ret: -1 (errno 11: busy)",
            ),
        ),
        (
            "2.13.2",
            (
                "Transport initialized, connecting to one.example:1111",
                "Transport unable to connect to one.example:1111 (errno 111). "
                "Attempt: 1",
                "Error: transport read failed: Connection closed by peer (code: -1)",
                "Unable to write share to socket. Closing connection. "
                "Ret: -1 (errno 11: busy)",
            ),
        ),
        (
            "2.14.2",
            (
                "Transport initialized, connecting to one.example:1111 (10.0.0.1)",
                "Transport unable to connect to one.example:1111 (errno 111). "
                "Attempt: 1",
                "Error: transport read failed: Connection closed by peer (code: -1)",
                "Unable to write share to socket. Ret: -1 (errno 11: busy)",
            ),
        ),
    ],
)
def test_every_version_tells_of_its_connection_in_its_own_words(
    version: str, lines: tuple[str, ...]
) -> None:
    bench = Bench(version=version)
    bench.advance(0.3)
    bench.reachable = {"one.example"}
    bench.advance(6.0)
    bench.close(CloseReason.CLOSED, Link.MAIN, CLOSED)
    bench.advance(8.0)
    bench.close(CloseReason.WRITE_FAILED, Link.MAIN, "errno 11: busy")

    assert [line for line in lines if line not in bench.lines] == []


def test_jobs_are_counted_until_a_failover() -> None:
    bench = Bench()
    bench.reachable = {"one.example"}
    bench.advance(0.3)
    lines = b"".join(json.dumps(line).encode() + b"\n" for line in (SUBSCRIPTION, JOB))
    bench.pools.received(lines, bench.now, link=Link.MAIN)
    assert bench.pools.work_received == 1

    bench.reachable.clear()
    bench.close(CloseReason.CLOSED, Link.MAIN)
    bench.advance(20.0)

    assert bench.pools.is_using_fallback
    assert bench.pools.work_received == 0


def test_any_byte_of_the_pool_restarts_the_silence() -> None:
    bench = Bench()
    bench.reachable.add("one.example")
    bench.advance(100.0)
    bench.hear(b"\n")
    bench.advance(279.0)

    assert bench.pools.is_connected


def test_a_lost_connection_is_told_and_redialled_after_a_second() -> None:
    bench = Bench()
    bench.reachable.add("one.example")
    bench.advance(5.0)
    bench.pools.events()

    bench.close(CloseReason.CLOSED, Link.MAIN)
    assert bench.pools.events() == [PoolLost()]
    bench.advance(7.0)

    assert [at for at, _ in bench.dials()] == [0.3, 6.3]


def test_a_requested_reconnect_goes_to_the_same_pool_and_is_no_failure() -> None:
    bench = Bench()
    bench.reachable.add("one.example")
    bench.advance(1.0)
    for _ in range(5):
        bench.hear(b'{"method":"client.reconnect","params":["evil.example",1,0]}\n')
        bench.advance(bench.now + 3.0)

    assert {host for _, host in bench.dials()} == {"one.example"}
    assert len(bench.dials()) == 6


def test_the_heartbeat_brings_the_primary_back() -> None:
    bench = Bench(profile=FIRMWARE)
    bench.reachable.add("two.example")
    bench.advance(20.0)
    assert bench.pools.is_using_fallback
    bench.hear(b'{"id":5,"result":true,"error":null}\n')
    bench.reachable.add("one.example")
    bench.advance(81.0)
    probe = bench.pools.data_to_pool(Link.PROBE, 0.0).decode().splitlines()
    assert [json.loads(line)["method"] for line in probe] == [
        "mining.subscribe",
        "mining.authorize",
    ]

    # This probe is not answered within five seconds; the next, a minute later, is.
    bench.advance(146.0)
    assert [at for at, _ in bench.dials(Link.PROBE)] == [20.0, 80.0, 145.0]
    bench.hear(SUBSCRIBED, Link.PROBE)
    bench.advance(bench.now + 2.0)

    assert not bench.pools.is_using_fallback
    assert bench.dials()[-1][1] == "one.example"
    assert bench.pools.shares.accepted == 1


def test_the_end_of_no_probe_puts_nothing_off() -> None:
    bench = Bench(use_fallback_stratum=True)
    bench.reachable = {"one.example", "two.example"}
    bench.advance(5.0)

    bench.pools.closed(CloseReason.CLOSED, 5.0, link=Link.PROBE, detail="")
    bench.advance(10.0)

    assert bench.dials(Link.PROBE) == [(10.0, "one.example")]


def test_with_use_fallback_the_heartbeat_never_leads_back() -> None:
    bench = Bench(use_fallback_stratum=True)
    bench.reachable = {"one.example", "two.example"}
    bench.advance(10.0)
    assert bench.dials() == [(0.3, "two.example")]
    assert bench.dials(Link.PROBE) == [(10.0, "one.example")]

    bench.hear(SUBSCRIBED, Link.PROBE)
    bench.advance(69.0)

    assert bench.pools.is_using_fallback
    assert len(bench.dials(Link.PROBE)) == 1


def test_without_wifi_nothing_is_dialled_and_nothing_counted() -> None:
    bench = Bench()
    bench.has_wifi = False
    bench.advance(65.0)
    assert bench.dials() == []

    bench.has_wifi = True
    bench.reachable.add("one.example")
    bench.advance(80.0)
    assert bench.pools.is_connected
    assert not bench.pools.is_using_fallback


def test_before_start_nothing_is_due() -> None:
    factory = Settings.from_nvs({}, BOARD)
    pools = Pools(
        factory,
        board=BOARD,
        firmware_version="v",
        rows=firmware().rows,
        profile=DOCUMENTED,
        rng=Random(1),
        log=lambda level, tag, text: None,
    )

    assert pools.next_wake == NEVER


@each(
    ("url", "target"),
    [
        ("pool.example", ("pool.example", 3333)),
        ("stratum+tcp://pool.example", ("pool.example", 3333)),
        ("stratum+tcp://pool.example:4444/", ("pool.example", 4444)),
        ("pool.example:4444", ("pool.example", 4444)),
        ("tcp://[2001:db8::1]:4444", ("2001:db8::1", 4444)),
        ("2001:db8::1", ("2001:db8::1", 3333)),
        ("pool.example:x", ("pool.example", 3333)),
        ("", ("", 3333)),
    ],
)
def test_pool_urls_are_understood(url: str, target: tuple[str, int]) -> None:
    assert dial_target(url, 3333) == target


@each(
    ("version", "url", "why"),
    [
        (
            "2.12.2",
            "stratum+ssl://one.example:3333",
            "it asks for TLS, which firmware has",
        ),
        ("2.13.2", "stratum2+tcp://one.example:3333/key", "it asks for Stratum v2"),
        ("2.14.2", "http://one.example:3333", "no pool is spoken to in http"),
    ],
)
def test_a_pool_that_wants_more_than_is_spoken_is_not_dialled(
    version: str, url: str, why: str
) -> None:
    bench = Bench(version=version, stratum_url=url)
    bench.reachable = {"one.example", "two.example"}
    bench.advance(100.0)

    dialled = [r.host for _, r in bench.requests if isinstance(r, ConnectPool)]
    assert dialled == ["two.example"], "not even to see whether it is back"
    told = f"one.example:3333 is not dialled: {why}"
    assert sum(line.startswith(told) for line in bench.lines) == 3


@each(
    ("version", "info", "trusted"),
    [
        ("2.12.2", "IPv4", None),
        ("2.13.2", "IPv4 (TLS)", ""),
        ("2.14.2", "IPv4 (TLS)", ""),
    ],
)
def test_releases_that_know_no_tls_dial_what_another_has_stored(
    version: str, info: str, trusted: str | None
) -> None:
    bench = Bench(version=version, profile=FIRMWARE, stratum_tls=1)
    bench.reachable = {"one.example"}
    bench.advance(1.0)

    assert bench.pools.connection_info == info
    (request,) = (r for _, r in bench.requests if isinstance(r, ConnectPool))
    assert request.trusted == trusted


@pytest.mark.parametrize(
    ("version", "info"),
    [("2.13.2", "IPv4"), ("2.14.2", "Not Connected")],
)
def test_releases_that_know_no_v2_dial_what_another_has_stored(
    version: str, info: str
) -> None:
    bench = Bench(version=version, profile=FIRMWARE, stratum_protocol="SV2")
    bench.reachable = {"one.example"}
    bench.advance(1.0)

    assert bench.pools.connection_info == info


USING_TLS = "Using TLS transport"


@each("version", ["2.13.2", "2.14.2", "2.15.0"])
@each(
    ("changes", "texts", "info", "trusted"),
    [
        ({}, ["TLS disabled, Using TCP transport"], "IPv4", None),
        (
            {"stratum_tls": 1},
            [USING_TLS, "Using default cert bundle"],
            "IPv4 (TLS)",
            "",
        ),
        (
            {"stratum_tls": 2, "stratum_cert": "PEM"},
            [USING_TLS, "Using custom cert"],
            "IPv4 (TLS Cert)",
            "PEM",
        ),
        (
            {"stratum_url": "stratum+ssl://one.example", "stratum_cert": "PEM"},
            [USING_TLS, "Using default cert bundle"],
            "IPv4 (TLS)",
            "",
        ),
        (
            {"stratum_url": "stratum+tls://one.example:1111/", "stratum_tls": 2},
            [USING_TLS, "Using custom cert"],
            "IPv4 (TLS Cert)",
            "x",
        ),
    ],
)
def test_a_pool_is_reached_by_tls_from_2_13_on(
    version: str,
    changes: dict[str, Value],
    texts: list[str],
    info: str,
    trusted: str | None,
) -> None:
    bench = Bench(version=version, profile=DOCUMENTED, **changes)
    bench.reachable = {"one.example"}
    bench.advance(1.0)

    (request,) = (r for _, r in bench.requests if isinstance(r, ConnectPool))
    assert (request.host, request.port) == ("one.example", 1111)
    assert request.trusted == trusted
    assert bench.pools.connection_info == info
    at = bench.lines.index("Connecting to: stratum+tcp://one.example:1111 (10.0.0.1)")
    told = "Transport initialized, connecting to one.example:1111"
    behind = "" if version == "2.13.2" else " (10.0.0.1)"
    following = [*texts, f"{told}{behind}", "Resetting stratum uid"]
    assert bench.lines[at + 1 : at + 1 + len(following)] == following


@each(
    ("changes", "text"),
    [
        ({"stratum_tls": 3}, "Invalid TLS mode"),
        ({"stratum_tls": 2, "stratum_cert": ""}, "Error: no TLS certificate"),
    ],
)
@each(
    ("version", "hosts"),
    [
        ("2.13.2", ["one.example"] * 4),
        ("2.14.2", ["one.example"] * 3 + ["two.example"]),
    ],
)
def test_where_no_transport_can_be_made_nothing_is_sent(
    version: str, hosts: list[str], changes: dict[str, Value], text: str
) -> None:
    bench = Bench(version=version, profile=DOCUMENTED, **changes)
    bench.reachable = {"one.example", "two.example"}
    bench.advance(17.0)

    assert [host for _, host in bench.dials()] == hosts, "2.13 counts no failure"
    assert bench.lines.count(text) == hosts.count("one.example")
    closed = [at for at, r in bench.requests if r == ClosePool(Link.MAIN)]
    assert closed == [at for at, host in bench.dials() if host == "one.example"]


def test_a_probe_needs_a_transport_too() -> None:
    bench = Bench(version="2.14.2", stratum_tls=3)
    bench.reachable = {"one.example", "two.example"}
    bench.advance(16.0)
    bench.hear(SETUP_REPLY)
    bench.advance(200.0)

    probes = bench.dials(Link.PROBE)
    assert [round(b - a) for (a, _), (b, _) in pairwise(probes)] == [60, 60]
    assert bench.pools.is_using_fallback


def test_a_probe_goes_by_tls_where_the_pool_does() -> None:
    bench = Bench(version="2.14.2", fallback_stratum_tls=0, stratum_tls=2)
    bench.reachable = {"two.example"}
    bench.advance(16.0)
    bench.hear(SETUP_REPLY)
    bench.reachable = {"one.example"}
    bench.advance(80.0)
    bench.hear(SUBSCRIBED, Link.PROBE)
    bench.advance(81.0)

    asked = {
        (request.link, request.host): request.trusted
        for _, request in bench.requests
        if isinstance(request, ConnectPool)
    }
    assert asked == {
        (Link.MAIN, "one.example"): "x",
        (Link.MAIN, "two.example"): None,
        (Link.PROBE, "one.example"): "x",
    }
    assert not bench.pools.is_using_fallback


@pytest.mark.parametrize("version", ["2.13.2", "2.14.2"])
def test_a_certificate_that_is_not_trusted_is_told_in_words(version: str) -> None:
    bench = Bench(version=version, stratum_tls=1)
    bench.unreachable = CloseReason.INSECURE, "self-signed certificate"
    bench.advance(12.0)

    told = "No TLS with one.example:1111: self-signed certificate"
    assert bench.lines.count(told) == 3
    failed = "Transport unable to connect to one.example:1111 (errno 0). Attempt: 3"
    assert failed in bench.lines
    assert [at for at, _ in bench.dials()][:3] == [0.0, 5.0, 10.0]
    assert bench.pools.connection_info == "Not Connected"


def test_other_pools_are_dialled_from_the_next_connection_on() -> None:
    bench = Bench(version="2.15.0")
    bench.reachable = {"one.example", "three.example"}
    bench.advance(1.0)
    settings = Settings.from_nvs({}, BOARD)
    bench.pools.configure(settings.changed({"stratum_url": "three.example"}))
    bench.advance(2.0)
    bench.close(CloseReason.CLOSED, Link.MAIN)
    bench.advance(4.0)

    dialled = [r.host for _, r in bench.requests if isinstance(r, ConnectPool)]
    assert dialled == ["one.example", "three.example"]


def test_the_firmware_dials_the_url_as_it_is_written() -> None:
    bench = Bench(profile=FIRMWARE, stratum_url="stratum+tcp://one.example")
    bench.advance(1.0)

    assert bench.dials()[0][1] == "stratum+tcp://one.example"


# From v2.14 on, with a coordinator


def unreachable_since(bench: Bench, until: float) -> None:
    bench.advance(until)
    assert bench.pools.events()[-1] == PoolsReachable(False)


def test_three_attempts_each_and_then_there_is_no_pool() -> None:
    bench = Bench(version="2.14.2")
    bench.advance(60.0)

    assert [host for _, host in bench.dials()] == 3 * ["one.example"] + 3 * [
        "two.example"
    ]
    told = [
        "Max V1 retry attempts reached (3), notifying coordinator",
        "Protocol failure reported (state=1, failures=1/2)",
        "Switching to fallback pool (SV1)",
        "Max V1 retry attempts reached (3), notifying coordinator",
        "Protocol failure reported (state=1, failures=2/2)",
        "All configured pools unreachable, pausing mining to conserve power.",
    ]
    assert [line for line in bench.lines if line in told] == told
    assert PoolsReachable(False) in bench.pools.events()
    assert bench.pools.is_using_fallback


def test_without_a_fallback_one_pool_is_all() -> None:
    bench = Bench(version="2.15.0", fallback_stratum_url="")
    unreachable_since(bench, 20.0)

    assert "Protocol failure reported (state=1, failures=1/1)" in bench.lines
    bench.advance(100.0)
    assert {host for _, host in bench.dials(Link.PROBE)} == {"one.example"}


@pytest.mark.parametrize(
    ("prefers_fallback", "order", "name"),
    [
        (False, ["one.example", "two.example"], "primary"),
        (True, ["two.example", "one.example"], "fallback"),
    ],
)
def test_both_pools_are_asked_every_half_minute_the_preferred_first(
    prefers_fallback: bool, order: list[str], name: str
) -> None:
    bench = Bench(version="2.14.2", use_fallback_stratum=prefers_fallback)
    unreachable_since(bench, 40.0)
    bench.advance(95.0)

    probes = bench.dials(Link.PROBE)
    assert [host for _, host in probes] == order * 2
    assert probes[2][0] - probes[0][0] == pytest.approx(30)
    assert not bench.pools.is_connected

    bench.reachable = {"one.example", "two.example"}
    bench.advance(122.0)
    sent = bench.pools.data_to_pool(Link.PROBE, bench.now).splitlines()
    assert [json.loads(line)["method"] for line in sent] == [
        "mining.subscribe",
        "mining.authorize",
    ]
    assert [json.loads(line)["id"] for line in sent] == [1, 2]
    bench.hear(SUBSCRIBED, Link.PROBE)
    bench.advance(123.0)

    text = f"Pool recovery: {name} pool reachable, resuming mining (SV1)"
    assert text in bench.lines
    assert bench.pools.events()[0] == PoolsReachable(True)
    assert bench.pools.is_connected
    assert bench.pools.is_using_fallback is prefers_fallback


def test_pools_configured_while_there_is_none_are_asked_next() -> None:
    bench = Bench(version="2.15.0", fallback_stratum_url="")
    unreachable_since(bench, 20.0)
    other: dict[str, Value] = {**FALLBACK, "stratum_url": "three.example"}
    bench.pools.configure(Settings.from_nvs({}, BOARD).changed(other))
    bench.advance(50.0)

    probes = [host for _, host in bench.dials(Link.PROBE)]
    assert probes == ["three.example", "two.example"]


def test_a_pool_that_says_nothing_of_jobs_is_none() -> None:
    bench = Bench(version="2.14.2", fallback_stratum_url="")
    unreachable_since(bench, 20.0)
    bench.reachable = {"one.example"}
    bench.advance(46.0)
    bench.hear(b'{"id":1,"result":null,"error":null}\n', Link.PROBE)

    assert bench.requests[-1][1] != ClosePool(Link.PROBE)
    bench.advance(50.0)
    assert ClosePool(Link.PROBE) in [request for _, request in bench.requests]
    assert not bench.pools.is_connected


def test_after_a_failover_the_primary_is_asked_a_minute_after_the_last_event() -> None:
    bench = Bench(version="2.14.2")
    bench.reachable = {"two.example"}
    bench.advance(17.0)
    assert bench.pools.is_using_fallback
    bench.pools.shares.accepted = 5
    bench.advance(40.0)
    bench.hear(SETUP_REPLY)
    bench.advance(99.9)
    assert bench.dials(Link.PROBE) == []

    bench.reachable = {"one.example", "two.example"}
    bench.advance(100.1)
    assert bench.dials(Link.PROBE) == [(100.0, "one.example")]
    bench.hear(SUBSCRIBED, Link.PROBE)
    bench.advance(101.0)

    assert "Primary pool is back! Switching from fallback." in bench.lines
    assert bench.dials()[-1][1] == "one.example"
    assert not bench.pools.is_using_fallback
    assert bench.pools.shares.accepted == 0


def test_who_wants_the_fallback_stays_on_it_and_comes_to_it_again_only_by_failing() -> (
    None
):
    bench = Bench(version="2.14.2", use_fallback_stratum=True)
    bench.reachable = {"one.example", "two.example"}
    bench.advance(300.0)
    assert {host for _, host in bench.dials()} == {"two.example"}
    assert bench.dials(Link.PROBE) == []

    bench.hear(SETUP_REPLY)
    bench.reachable = {"one.example"}
    bench.close(CloseReason.CLOSED, Link.MAIN)
    bench.advance(400.0)
    assert "Fallback failed, trying primary" in bench.lines
    assert not bench.pools.is_using_fallback
    assert bench.dials(Link.PROBE) == []


def test_a_paused_device_lets_go_of_its_pool_at_the_next_line() -> None:
    bench = Bench(version="2.14.2")
    bench.reachable = {"one.example"}
    bench.advance(5.0)
    bench.pools.set_paused(True, bench.now)
    bench.advance(10.0)
    bench.hear(b'{"id":7,"res')
    assert bench.pools.is_connected

    bench.hear(b'ult":true,"error":null}\n')
    bench.advance(100.0)
    assert "Mining paused, disconnecting from pool" in bench.lines
    assert ClosePool(Link.MAIN) in [request for _, request in bench.requests]
    assert len(bench.dials()) == 1

    bench.pools.set_paused(False, bench.now)
    bench.advance(101.0)
    assert bench.pools.is_connected


@pytest.mark.parametrize(("version", "is_success"), [("2.14.2", 0), ("2.15.0", 1)])
def test_an_accepted_configure_is_a_success_in_2_15(
    version: str, is_success: int
) -> None:
    bench = Bench(version=version)
    bench.reachable = {"one.example"}
    for _ in range(3):
        bench.advance(bench.now + 2.0)
        mask = {"version-rolling": True, "version-rolling.mask": "1fffe000"}
        line = {"id": 1, "result": mask, "error": None}
        bench.hear(json.dumps(line).encode() + b"\n")
        bench.close(CloseReason.CLOSED, Link.MAIN)
    bench.advance(bench.now + 2.0)

    assert bench.pools.is_using_fallback is not bool(is_success)


def test_a_pool_of_stratum_v2_is_dialled_in_the_clear_and_greeted_by_a_key() -> None:
    bench = Bench(version="2.14.2", stratum_tls=1, stratum_protocol="SV2")
    bench.reachable = {"one.example"}
    bench.advance(1.0)

    (request,) = (r for _, r in bench.requests if isinstance(r, ConnectPool))
    assert (request.is_v2, request.trusted) == (True, None)
    assert len(bench.pools.data_to_pool(Link.MAIN, 1.0)) == 64
    assert bench.pools.connection_info == "Not Connected"
    assert bench.lines[1:] == [
        "Connecting to stratum+sv2://one.example:1111 (attempt 1)",
        "TCP connected to one.example:1111",
        "Starting Noise handshake (Noise_NX_Secp256k1+EllSwift_ChaChaPoly_SHA256)",
        "No authority pubkey configured, server identity will not be verified",
    ]


def test_an_unreachable_pool_of_stratum_v2_is_told_and_left_after_three_times() -> None:
    bench = Bench(version="2.14.2", stratum_protocol="SV2")
    bench.reachable = {"two.example"}
    bench.advance(16.0)

    hosts = [host for _, host in bench.dials()]
    assert hosts == ["one.example"] * 3 + ["two.example"]
    times = [at for at, _ in bench.dials()]
    assert [b - a for a, b in pairwise(times)] == [5.0] * 3
    assert "Connecting to stratum+sv2://one.example:1111 (attempt 3)" in bench.lines
    assert "Max V2 retry attempts reached (3), notifying coordinator" in bench.lines
    assert "Switching to fallback pool (SV1)" in bench.lines
    assert bench.pools.connection_info == "IPv4"


def test_what_becomes_of_a_handshake_is_told() -> None:
    bench = Bench(version="2.15.0", stratum_protocol="SV2")
    bench.unreachable = CloseReason.UNRESOLVED, "202"
    bench.advance(4.0)
    assert bench.pools.connection_info == "SV2: Pool unreachable"

    bench.reachable = {"one.example"}
    bench.advance(6.0)
    bench.hear(bytes(234))
    assert bench.pools.connection_info == "SV2: Auth failed - check key"
    assert bench.pools.session is None
    assert bench.pools.requests == [ClosePool(Link.MAIN)]
    bench.advance(7.0)
    assert [at for at, _ in bench.dials()][-2:] == [5.0, 7.0]


def test_a_silent_pool_of_stratum_v2_is_given_up_after_ten_seconds() -> None:
    bench = Bench(version="2.15.0", stratum_protocol="SV2")
    bench.reachable = {"one.example"}
    bench.advance(12.0)

    assert [at for at, _ in bench.dials()] == [0.0, 11.0]
    assert bench.pools.connection_info == "SV2: Auth failed - check key"


def test_a_pool_may_have_its_key_behind_its_url() -> None:
    key = "9ae1uY3ChjejaQoGooB5DA762XQ2yncAKLYEjqqNrPxXMUyX3KA"
    url = f"stratum2+tcp://one.example:3333/{key}"
    bench = Bench(version="2.15.0", stratum_url=url)
    bench.reachable = {"one.example"}
    bench.advance(1.0)

    assert "Authority pubkey configured, will verify server certificate" in bench.lines
    (request,) = (r for _, r in bench.requests if isinstance(r, ConnectPool))
    assert (request.host, request.port) == ("one.example", 3333)


def test_a_probe_of_stratum_v2_is_a_connection_and_no_more() -> None:
    bench = Bench(version="2.14.2", stratum_protocol="SV2")
    bench.reachable = {"two.example"}
    bench.advance(16.0)
    bench.hear(SETUP_REPLY)
    bench.reachable = {"one.example"}
    bench.advance(80.0)

    assert [host for _, host in bench.dials(Link.PROBE)] == ["one.example"]
    assert not bench.pools.data_to_pool(Link.PROBE, 80.0)
    assert not bench.pools.is_using_fallback
    assert "Primary pool is back! Switching from fallback." in bench.lines


def test_a_paused_device_stays_with_a_pool_of_stratum_v2() -> None:
    bench = Bench(version="2.14.2", stratum_protocol="SV2")
    bench.reachable = {"one.example"}
    bench.advance(1.0)
    bench.pools.set_paused(True, 1.0)
    bench.hear(b"\n")

    assert bench.pools.is_connected
