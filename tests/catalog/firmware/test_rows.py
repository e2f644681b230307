import json
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from tests.each import each

from softaxe.catalog.firmware.rows import LOG_MARK, ROWS, release, rows_of

DATA = Path(__file__).parents[2] / "data" / "firmware-versions.json"
REFERENCE: dict[str, Any] = json.loads(DATA.read_text("utf-8"))


def test_a_row_holds_from_one_release_to_the_next() -> None:
    assert rows_of((2, 8, 1)).json_layout == "formatted"
    assert rows_of((2, 13, 2)).json_layout == "formatted"
    assert rows_of((2, 14, 0)).json_layout == "compact"
    assert rows_of((2, 14, 1)).log_mark == ""
    assert rows_of((2, 14, 2)).log_mark == LOG_MARK


def test_every_row_has_words_and_a_value_that_changes() -> None:
    for row in ROWS.values():
        assert row.words, row.name
        assert list(row.steps) == sorted(row.steps), row.name
        values = list(row.steps.values())
        assert len(values) > 1, row.name
        assert all(a != b for a, b in pairwise(values)), row.name


def test_the_invisible_mark_spells_bitaxe() -> None:
    bits = "".join(str("\u200b\u200c".index(digit)) for digit in LOG_MARK[1:-1])

    assert LOG_MARK[0] == LOG_MARK[-1] == "\u2060"
    assert int(bits, 2).to_bytes(6) == b"bitaxe"


SAME = {
    "json_layout": "json_layout",
    "statistics_layout": "statistics_json_layout",
    "serves_plain_files": "static_plain_files",
    "actions_answer": "restart_answer",
    "checks_patches": "patch_validation",
    "min_fan_speed": "min_fan_speed",
    "theme_member": "theme_members",
    "trusts_local_names": "origin_rule",
    "websocket_clients": "websocket_limit",
    "log_frames": "log_frames",
    "ota_errors_are_json": "ota_errors",
    "has_recovery_mode": "recovery_mode",
    "has_mdns": "mdns",
    "ap_returns": "softap_returns_on_wifi_loss",
    "keeps_totals": "uptime_source",
    "hashrate_poll_s": "power_loop_ms",
    "power_loop_s": "power_loop_ms",
    "fan_loop_s": "fan_loop_ms",
    "fan_pid": "fan_pid",
    "overheat_mode": "overheat_mode_member",
    "stratum_json": "stratum_json",
    "suggest_difficulty": "stratum_suggest",
    "extranonce_subscribe": "stratum_extranonce_subscribe",
    "share_replies": "stratum_share_rule",
    "pool_silence_s": "stratum_read_timeout_s",
    "address_preference": "stratum_ip_preference",
    "answers_get_version": "stratum_get_version",
    "pool_difficulty": "stratum_difficulty",
    "failover": "failover",
    "pool_store": "pool_store",
    "block_condition": "block_condition",
    "log_mark": "invisible_log_mark",
}
"""Rows that change with the reference's, by its names for them."""


@each("name", SAME)
def test_a_row_changes_where_the_reference_s_does(name: str) -> None:
    reference = REFERENCE["profile_rows"][SAME[name]]

    columns = pairwise(reference)
    told = [reference[one] != reference[other] for one, other in columns]
    values = [ROWS[name].value(release(tag)) for tag in reference]
    assert [one != other for one, other in pairwise(values)] == told


def test_a_release_is_read_with_what_it_leaves_out_as_0() -> None:
    assert release("v2.14.2") == (2, 14, 2)
    assert release("2.14") == (2, 14, 0)
    with pytest.raises(ValueError, match="is no release"):
        release("2.14-dirty")
