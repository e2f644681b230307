"""Metrics of several parts are put together as they are."""

import json
import random

from prometheus_client.parser import text_string_to_metric_families

from softaxe.fleet.clock import Clock
from softaxe.fleet.metrics import QUANTITIES, joined, metrics_text
from softaxe.serve.share_load import ShareLoad

COUNTS = {
    "connections": 2,
    "sharesAccepted": 5,
    "sharesRejected": {"Too late": 1},
    "acceptedDifficulty": 0.5,
    "bestDifficulty": 0.5,
    "blocksFound": 0,
}
TOTALS = {
    "devices": 2,
    "requests": 3,
    "pool": {
        "urls": [],
        "height": 7,
        "networkDifficulty": 2.0,
        **COUNTS,
        "protocols": {"v1": COUNTS, "v2": COUNTS},
    },
}
LOAD = {
    "submitted": 4,
    "accepted": 2,
    "rejected": {'"stale"': 1},
    "waiting": 1,
    "connections": 2,
    "reconnects": 0,
    "sum_s": 0.031,
    "bins": ShareLoad().bins,
}


def test_totals_add_up_but_for_the_clock() -> None:
    clock = Clock(start=5.0, speed=2.0)
    text = metrics_text([b""], [TOTALS, TOTALS], clock, LOAD).decode()

    assert "\nsoftaxe_devices 4.0\n" in text
    assert "\nsoftaxe_clock_seconds 5.0\n" in text
    assert "\nsoftaxe_clock_speed 2.0\n" in text
    assert "\nsoftaxe_http_requests_total 6.0\n" in text
    judged = 'softaxe_pool_shares_total{protocol="v2",reason="%s",result="%s"} %s\n'
    assert judged % ("", "accepted", 10.0) in text
    assert judged % ("Too late", "rejected", 2.0) in text
    assert '\nsoftaxe_pool_connections{protocol="v1"} 4.0\n' in text
    assert "\nsoftaxe_pool_height 7.0\n" in text


def test_replies_are_a_histogram_and_refusals_have_their_reasons() -> None:
    load = ShareLoad()
    for took_s in (0.002, 0.003, 200.0):
        load.answered(took_s, None)

    table = {**LOAD, "bins": load.bins}
    text = metrics_text([b""], [TOTALS], Clock(), table).decode()

    reply = "softaxe_load_reply_seconds"
    assert f'\n{reply}_bucket{{le="0.001585"}} 0.0\n' in text
    assert f'\n{reply}_bucket{{le="0.002512"}} 1.0\n' in text
    assert f'\n{reply}_bucket{{le="100"}} 2.0\n' in text
    assert f'\n{reply}_bucket{{le="+Inf"}} 3.0\n' in text
    refused = r'softaxe_load_replies_total{reason="\"stale\"",result="rejected"} 1.0'
    assert f"\n{refused}\n" in text
    assert "\nsoftaxe_load_submitted_total 4.0\n" in text
    assert len(list(text_string_to_metric_families(text))) > 5


def text_of(*names: str) -> bytes:
    lines = []
    for metric in ("x", "y"):
        lines += [f"# HELP {metric} Some metric.", f"# TYPE {metric} gauge"]
        lines += [
            f"{metric}{{group={json.dumps(name, ensure_ascii=False)}}} 1.0"
            for name in names
        ]
    return "\n".join([*lines, ""]).encode()


def test_lines_of_devices_come_below_the_heads_of_their_metric() -> None:
    assert joined([text_of("a", "b"), text_of(), text_of("c")]) == text_of(
        "a", "b", "c"
    )
    assert joined([text_of(), text_of("c")]) == text_of("c")


def test_joined_metrics_can_be_read_whatever_names_there_are() -> None:
    names = ['a"b\\c\nd', "# HELP x", "\n# HELP x Y\n", "ü"]
    random.Random(1).shuffle(names)

    text = joined([text_of(name) for name in names]).decode()

    for family in text_string_to_metric_families(text):
        assert family.type == "gauge"
        assert [sample.labels["group"] for sample in family.samples] == names


def test_every_quantity_has_a_help() -> None:
    assert all(quantity.help.endswith(".") for quantity in QUANTITIES)
