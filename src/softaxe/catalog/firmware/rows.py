"""What differs from release to release beyond lists of names: one row each.

A row has the value of the oldest release, 2.8.0, and a new one for every release that
changed it. Code asks for a row by its name, at the one place where the difference is.
Source: the tags of github.com/bitaxeorg/ESP-Miner.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any, Literal, NamedTuple

Release = tuple[int, int, int]

LOG_MARK = "".join(
    (
        "\u2060",
        *(
            "\u200c" if byte >> bit & 1 else "\u200b"
            for byte in b"bitaxe"
            for bit in range(7, -1, -1)
        ),
        "\u2060",
    )
)
"""Joiners of no width: 0 and 1 of each byte, between two others."""


def _row(words: str, first: object, **later: object) -> Any:
    """Describe a row; `later` has the values from a release on, as `v2_14_2=...`."""
    steps: dict[Release, object] = {(2, 8, 0): first}
    for name, value in later.items():
        steps[release(name.replace("_", "."))] = value
    return field(metadata={"words": words, "steps": steps})


def release(text: str) -> Release:
    """Read `2.14.2` or `v2.14`; what is left out is 0.

    Raises:
        ValueError: It is no such text.
    """
    match = re.fullmatch(r"v?(\d{1,4})\.(\d{1,4})(?:\.(\d{1,4}))?", text)
    if match is None:
        raise ValueError(f"{text!r} is no release")
    major, minor, patch = match.groups(default="0")
    return int(major), int(minor), int(patch)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False, repr=False)
class Rows:
    """One column of the table: the values of one release."""

    # Answers

    json_layout: Literal["formatted", "compact"] = _row(
        "how JSON is laid out", "formatted", v2_14="compact"
    )
    statistics_layout: Literal["formatted", "compact"] = _row(
        "how statistics are laid out", "compact", v2_11="formatted", v2_14="compact"
    )
    scoreboard_layout: Literal["formatted", "compact"] = _row(
        "how the scoreboard is laid out", "formatted", v2_15="compact"
    )
    monitor: Literal["raw", "rounded", "raw, domains last"] = _row(
        "numbers and order of the members of `hashrateMonitor`",
        "raw",
        v2_12="rounded",
        v2_14="raw, domains last",
    )
    best_difficulty: Literal["text", "number"] = _row(
        "how best difficulties are told: `4.29G`, or 4290000000",
        "text",
        v2_11="number",
    )
    difficulty_gap: str = _row(
        "what stands between a difficulty and its suffix", "", v2_10=" ", v2_11=""
    )
    flags_are_raw: bool = _row(
        "flags in info show whatever number is stored", True, v2_11=False
    )
    actions_answer: Literal["text/html", "text/plain", "json"] = _row(
        "what restart and identify answer",
        "text/html",
        v2_12="text/plain",
        v2_13="json",
    )
    clock_bits: int = _row(
        "bits of the statistics' time stamps", 64, v2_11=32, v2_13=64
    )

    # The HTTP server

    serves_plain_files: bool = _row(
        "files that are not compressed are served", False, v2_10=True
    )
    svg_type: str = _row(
        "content type of a picture in SVG", "text/xml", v2_9="image/svg+xml"
    )
    sockets: int = _row("sockets of the HTTP server", 10, v2_10=20)
    purges_sockets: bool = _row(
        "one client too many ends the connection unused for longest", False, v2_10=True
    )
    header_bytes: int = _row("most bytes of a request's headers", 512, v2_10=1024)
    websocket_clients: int = _row(
        "most WebSockets at once; of one the last to come is served", 1, v2_10=10
    )
    websocket_refusal: Literal[
        "raw after upgrade", "closed after upgrade", "before upgrade"
    ] = _row(
        "how a WebSocket is refused: an HTTP answer's bytes in the open one, that one "
        "closed at once, or an HTTP answer",
        "raw after upgrade",
        v2_10="closed after upgrade",
        v2_14="raw after upgrade",
        v2_15="before upgrade",
    )
    keeps_slow_websockets: bool = _row(
        "a WebSocket whose client does not read stays", False, v2_14=True, v2_15=False
    )
    websocket_line: str | None = _row(
        "what the log says of a client that comes or goes",
        None,
        v2_14="{what} WebSocket {kind} client, fd: {fd}, slot: {slot}",
        v2_15="{what} WebSocket {kind} client, fd: {fd}, slot: {slot}, "
        "type_count: {count}",
    )
    has_old_log_tags: bool = _row(
        "some log tags have names of their own, such as `SystemModule`",
        True,
        v2_9=False,
    )
    log_frames: Literal["per call", "ring"] = _row(
        "what the log socket sends: every call's text, or lines of a ring in memory",
        "per call",
        v2_14="ring",
    )
    log_mark: str = _row(
        "what ends some log texts: an invisible `bitaxe`", "", v2_14_2=LOG_MARK
    )
    trusts_local_names: bool = _row(
        "pages may ask whose names have no dot or end in `.local`", False, v2_15=True
    )
    has_recovery_mode: bool = _row(
        "without a page, everything answers the recovery page", True, v2_15=False
    )
    ota_errors_are_json: bool = _row(
        "a refused image is answered as JSON", False, v2_15=True
    )

    # Settings

    checks_patches: bool = _row(
        "a PATCH is checked, and taken as a whole or not at all", False, v2_11=True
    )
    hostname_change: Literal["restart", "live", "live with redirect"] = _row(
        "when a new host name holds",
        "restart",
        v2_14="live",
        v2_15="live with redirect",
    )
    empty_text_is_default: bool = _row(
        "a stored empty text reads back as the default after a restart",
        False,
        v2_14=True,
    )
    pool_store: Literal["two", "eight slots"] = _row(
        "where pools are stored", "two", v2_15="eight slots"
    )
    factory_pool_port: int = _row(
        "port of the pool in the factory file", 21496, v2_14=3333
    )
    theme_member: Literal["accentColors", "primaryColor"] = _row(
        "the theme's colours", "accentColors", v2_15="primaryColor"
    )
    min_fan_speed: Literal["fixed 25", "restart", "live"] = _row(
        "when `minFanSpeed` holds", "fixed 25", v2_10="restart", v2_13="live"
    )

    # The body

    unknown_board: Literal["boot stops", "custom board"] = _row(
        "what becomes of a board that the release does not know",
        "boot stops",
        v2_9="custom board",
    )
    reads_second_sensor: bool = _row(
        "a second temperature is read, and minded, where there is one",
        False,
        v2_10=True,
    )
    temp2_without_sensor: float = _row(
        "`temp2` where there is no second sensor", 0.0, v2_11=-1.0
    )
    hashrate_source: Literal["nonces", "counters"] = _row(
        "what the hash rate is measured by", "nonces", v2_11="counters"
    )
    hashrate_poll_s: float = _row(
        "seconds between two looks at the chips' counters", 5.0, v2_14=1.0
    )
    hashrate_averages: tuple[int, int] = _row(
        "polls of the averages over a minute and ten minutes",
        (12, 120),
        v2_14=(60, 600),
    )
    forgets_counters: bool = _row(
        "after a stop or a cleared job queue the hash rate begins anew, at 0",
        False,
        v2_14=True,
    )
    expected_hashrate: Literal["stored", "applied"] = _row(
        "which frequency `expectedHashrate` is of", "stored", v2_11="applied"
    )
    power_loop_s: float = _row("seconds of the power loop", 1.8, v2_14=0.1)
    fan_loop_s: float = _row("seconds of the fan's loop", 1.8, v2_13=0.1)
    fan_pid: tuple[float, float, float] = _row(
        "P, I and D of the fan control",
        (15.0, 0.2, 3.0),
        v2_13=(3.0, 0.1, 1.0),
        v2_14=(5.0, 0.1, 2.0),
    )
    fan_smoothing: float = _row(
        "what the newest temperature counts in the one that the fan follows",
        1.0,
        v2_14=0.2,
    )
    fan_tells_mode: bool = _row(
        "the fan's control tells what decides its speed", False, v2_14=True
    )
    fan_without_temperature: Literal["unchanged", "100", "70"] = _row(
        "fan speed without a chip temperature, outside access point mode",
        "unchanged",
        v2_11="100",
        v2_13="70",
    )
    fan_failure: Literal["restart", "task ends", "hardware_fault"] = _row(
        "what comes of a fan that cannot be set",
        "restart",
        v2_13="task ends",
        v2_14="hardware_fault",
    )
    overheat: Literal["reboot", "live", "stop"] = _row(
        "what the overheat protection does",
        "reboot",
        v2_11="live",
        v2_14="stop",
    )
    overheat_mode: Literal["setting", "loop's copy"] = _row(
        "what `overheat_mode` shows", "setting", v2_14="loop's copy"
    )
    core_voltage_source: Literal["adc", "regulator"] = _row(
        "what measures the core voltage of boards with a TPS546",
        "adc",
        v2_11="regulator",
    )
    measures_when_asked: bool = _row(
        "current and core voltage are measured for each answer, not once per pass",
        True,
        v2_13=False,
    )
    closes_power_line: bool = _row(
        "the line that switches the chips' power off is also switched on again",
        False,
        v2_14=True,
    )
    needs_all_chips: bool = _row(
        "a chain with too few or too many chips is not started", False, v2_14=True
    )
    tells_load: bool = _row(
        "how busy the processor is and how long a share takes is measured",
        False,
        v2_14=True,
    )
    ramps_bm1397: bool = _row(
        "a BM1397 takes a new frequency without a restart", False, v2_12=True
    )
    job_interval_division: Literal["none", "chips", "power of two"] = _row(
        "by what the job interval is divided",
        "none",
        v2_11="chips",
        v2_14="power of two",
    )
    statistics_sampling: Literal[
        "limit and duration", "16 bit", "frequency", "thinned"
    ] = _row(
        "when statistics are sampled",
        "limit and duration",
        v2_9="16 bit",
        v2_12="frequency",
        v2_14="thinned",
    )
    keeps_statistics_off: bool = _row(
        "switched off, rows are kept though not told", False, v2_9=True, v2_10=False
    )
    keeps_totals: bool = _row(
        "the hash rate task counts time and hashes, which last over restarts",
        False,
        v2_15=True,
    )
    uncounted_heap_bytes: int = _row(
        "bytes by which `freeHeap` is less than its parts", 31_971, v2_15=31_903
    )

    # Nonces

    chip_logs_results: bool = _row(
        "the chip's driver has a log line of its own for every nonce", True, v2_14=False
    )
    result_line: str = _row(
        "what the log says of a nonce",
        "Ver: {version:08X} Nonce {nonce:08X} diff {difficulty:.1f} of {whole_pool}.",
        v2_9="ID: {job_id}, ver: {version:08X} Nonce {nonce:08X} "
        "diff {difficulty:.1f} of {whole_pool}.",
        v2_11="ID: {job_id}, ASIC nr: {asic}, ver: {version:08X} Nonce {nonce:08X} "
        "diff {difficulty:.1f} of {whole_pool}.",
        v2_14="ID: {job_id}, ASIC nr: {asic}, Core: {core}/{small_core}, "
        "ver: {version:08X} Nonce {nonce:08X} diff {difficulty:.1f} of {pool:g}.",
    )
    submits_first: bool = _row(
        "a share is submitted before the log tells of its nonce", False, v2_14=True
    )
    has_scoreboard: bool = _row(
        "the 20 best nonces are kept over restarts", False, v2_14=True
    )

    # The screen

    has_mining_page: bool = _row(
        "the screen has a page of the block, a QR code in set-up, and on small panels, "
        "too, a page of the Wi-Fi",
        False,
        v2_11=True,
    )
    screen_marks: Literal["none", "accepted", "all"] = _row(
        "what a corner of the screen marks", "none", v2_9="accepted", v2_10="all"
    )
    screen_tells_signal: bool = _row(
        "the Wi-Fi page calls the signal good or weak", False, v2_9=True
    )
    screen_celsius: Literal[" C", "°C"] = _row(
        "unit of the screen's temperature", " C", v2_11="°C"
    )
    screen_second_temperature: bool = _row(
        "the screen tells both temperatures where there are two", False, v2_14=True
    )
    dark_screen_wakes: bool = _row(
        "a screen that is off shows pages out of turn, and wakes for a button",
        False,
        v2_13=True,
    )

    # The network

    ap_ends: Literal["first address", "address"] = _row(
        "when the access point is switched off", "first address", v2_9="address"
    )
    ap_returns: bool = _row(
        "the access point comes back when Wi-Fi is lost", False, v2_13=True
    )
    tells_address_wait: bool = _row(
        "`wifiStatus` tells of waiting for an address, and of none", False, v2_9=True
    )
    has_mdns: bool = _row("the device announces itself by mDNS", False, v2_15=True)

    # Updates and the page

    axeos_version: Literal["none", "file", "file at boot", "Unified"] = _row(
        "where `axeOSVersion` comes from",
        "none",
        v2_9="file",
        v2_13="file at boot",
        v2_15="Unified",
    )
    www_upload_restarts: bool = _row(
        "the device restarts after a new page", False, v2_15=True
    )
    embeds_page: bool = _row(
        "the page is part of the firmware, unless `useCustomWWW`", False, v2_15=True
    )

    # Stratum v1

    stratum_json: Literal["spaces", "compact"] = _row(
        "how JSON to the pool is laid out", "spaces", v2_13="compact"
    )
    suggest_difficulty: Literal[
        "always 1000", "after authorize", "after authorize if positive"
    ] = _row(
        "when a difficulty is suggested",
        "always 1000",
        v2_9="after authorize",
        v2_11="after authorize if positive",
    )
    extranonce_subscribe: Literal["never", "every reply", "once"] = _row(
        "when new extranonces are asked for",
        "never",
        v2_9="every reply",
        v2_15="once",
    )
    set_extranonce: Literal["ignored", "applied", "applied, counter restarts"] = _row(
        "what `mining.set_extranonce` does",
        "ignored",
        v2_9="applied",
        v2_15="applied, counter restarts",
    )
    most_extranonce2_bytes: int = _row(
        "bytes of an extranonce2 at most, whatever the pool asks; 2.8 and 2.9 have no "
        "limit of their own",
        255,
        v2_10=32,
    )
    share_replies: Literal["id from 5", "id from 5, tracked", "tracked"] = _row(
        "which replies are answers to shares",
        "id from 5",
        v2_14="id from 5, tracked",
        v2_15="tracked",
    )
    setup_results: Literal["by id", "by shape"] = _row(
        "how answers to subscribe and configure are told", "by id", v2_15="by shape"
    )
    pool_errors: Literal["array", "any form"] = _row(
        "how a pool may spell an error: an array, or a text, an object, and without "
        "any result, too",
        "array",
        v2_14="any form",
    )
    checks_pool_types: bool = _row(
        "a pool's line whose parameters are of other types than meant is ignored; "
        "before, a text is 0 where a number is meant",
        False,
        v2_15=True,
    )
    response_time: Literal["untold", "any message", "shares", "accepted shares"] = _row(
        "whose answers are timed; `untold`: shares', for what the API page promises",
        "untold",
        v2_9="any message",
        v2_13="shares",
        v2_14="accepted shares",
    )
    most_merkle_branches: int | None = _row(
        "branches of a job that are taken at most", 32, v2_13=None
    )
    pool_silence_s: float | None = _row(
        "seconds without a word after which a pool is given up",
        600.0,
        v2_11=180.0,
        v2_13=None,
    )
    address_preference: Literal["ipv4 only", "ipv6", "ipv4"] = _row(
        "which address of a pool is taken", "ipv4 only", v2_11="ipv6", v2_13="ipv4"
    )
    pool_transport: Literal["socket", "transport", "transport to address"] = _row(
        "what a pool is reached by, and so how the log tells of it",
        "socket",
        v2_13="transport",
        v2_14="transport to address",
    )
    socket_pause_s: float = _row(
        "seconds before a pool is dialled", 0.0, v2_9=0.3, v2_13=0.0
    )
    connect_timeout_s: float | None = _row(
        "seconds until a pool that does not answer is given up; lwIP's own if none",
        None,
        v2_13=5.0,
    )
    pool_keepalive: tuple[int, int, int] | None = _row(
        "seconds of silence after which the system asks whether a pool is still there, "
        "seconds between two questions, and how many may stay without an answer",
        None,
        v2_13=(60, 10, 3),
    )
    failed_share: Literal["closes", "is logged"] = _row(
        "what a share does that cannot be written", "closes", v2_14="is logged"
    )
    has_tls: bool = _row("pools can be reached by TLS", False, v2_13=True)
    counts_missing_transport: bool = _row(
        "a pool that no transport can be made for, as by `stratumTLS` 3, counts as one "
        "that has failed",
        False,
        v2_14=True,
    )
    has_stratum_v2: bool = _row("Stratum v2 is spoken", False, v2_14=True)
    v2_most_payload_bytes: int = _row(
        "bytes of a Stratum v2 message that are taken at most", 2048, v2_15=8192
    )
    v2_min_extranonce_bytes: int = _row(
        "bytes of an extranonce that are asked for on an extended channel", 6, v2_15=2
    )
    v2_difficulty: Literal["integer", "double"] = _row(
        "what the difficulty of a Stratum v2 target is told as: an integer of 32 bits, "
        "1 at least, or exactly",
        "integer",
        v2_15="double",
    )
    v2_can_require_key: bool = _row(
        "a Stratum v2 pool may be refused for want of a key to know it by",
        False,
        v2_15=True,
    )
    answers_ping: bool = _row("`mining.ping` is answered", False, v2_13=True)
    logs_pool_messages: bool = _row(
        "`client.show_message` is written into the log", False, v2_14=True
    )
    answers_get_version: bool = _row(
        "`client.get_version` is answered", False, v2_15=True
    )
    start_difficulty: int = _row(
        "difficulty of jobs before the pool sets one; 0 for any nonce", 8192, v2_9=0
    )
    difficulty_log: Literal["stratum, on change", "pool"] = _row(
        "how a pool's difficulty is logged: `Set stratum difficulty` or `Set pool "
        "difficulty`",
        "stratum, on change",
        v2_9="pool",
    )
    pool_difficulty: Literal["integer", "double"] = _row(
        "what a pool's difficulty is kept as", "integer", v2_14="double"
    )
    ignores_duplicate_jobs: bool = _row(
        "a job id that came before is ignored", False, v2_15=True
    )
    pool_tag: str = _row(
        "the log's tag of the pool connection",
        "stratum_task",
        v2_14="stratum_v1_task",
    )
    failover: Literal["toggle", "coordinator"] = _row(
        "what happens when a pool fails: the other is tried, or a coordinator decides "
        "and stops mining without any",
        "toggle",
        v2_14="coordinator",
    )
    queued_jobs: int = _row(
        "jobs that are kept ready for the chip; with 0 each is made when it is sent, "
        "and a clean one goes out at once",
        10,
        v2_13=0,
    )
    coinbase: Literal["ignored", "script", "outputs", "outputs and signals"] = _row(
        "what of a job's coinbase is read: the block's height and text, whom it pays, "
        "which proposals it signals for, and the network by the user's name",
        "ignored",
        v2_11="script",
        v2_13="outputs",
        v2_14="outputs and signals",
    )
    block_condition: Literal["greater", "greater or equal"] = _row(
        "which difficulty makes a block", "greater", v2_13="greater or equal"
    )

    @property
    def is_compact(self) -> bool:
        """JSON has no white space."""
        return self.json_layout == "compact"


class Row(NamedTuple):
    """A row in words."""

    name: str
    words: str
    steps: Mapping[Release, object]

    def value(self, of: Release) -> object:
        """The value of a release."""
        return [value for since, value in self.steps.items() if since <= of][-1]


ROWS: Mapping[str, Row] = {
    row.name: Row(row.name, row.metadata["words"], row.metadata["steps"])
    for row in fields(Rows)
}
"""Every row, by name."""


def rows_of(of: Release) -> Rows:
    """Return the values of a release."""
    values: dict[str, Any] = {name: row.value(of) for name, row in ROWS.items()}
    return Rows(**values)
