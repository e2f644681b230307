"""Functions of the page that are easier to ask than to look at, in Node.js."""

import ast
import csv
import json
import shlex
import shutil
import subprocess
import tomllib
from collections.abc import Iterator
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from softaxe.scenario import read_scenario

REASONS = {
    "Above target": "below the pool's",
    "low difficulty share of 3": "below the pool's",
    "high-hash": "below the pool's",
    "difficulty-too-low": "below the pool's",
    "Low difficulty share": "below the pool's",
    "Stale": "new block",
    "stale-prevblk": "new block",
    "stale-share": "new block",
    "Job not found": "does not know the job",
    "Invalid JobID": "does not know the job",
    "invalid-job-id": "does not know the job",
    "unknown-work": "does not know the job",
    "Duplicate share": "came twice",
    "Worker mismatch": "does not know this user",
    "Unauthorized worker": "does not know this user",
    "Not subscribed": "had not set up",
    "invalid-channel-id": "had not set up",
    "Ntime out of range": "time is outside",
    "time-too-old": "time is outside",
    "Invalid version mask": "version bits",
    "version-rolling-not-allowed": "version bits",
    "Malformed share": "could not read",
    "bad-extranonce-size": "could not read",
    "unknown": "gives no reason",
    "because": "not known here",
}
"""What pools say when they refuse a share, and a word of what that means."""
UI = Path(__file__).parents[2] / "ui"


PROGRAM = """
import { createInterface } from "node:readline";
import { build } from "vite";

async function made(file) {
    const lib = { entry: `src/lib/${file}`, formats: ["es"], fileName: "m" };
    const alias = { $texts: `${process.cwd()}/src/texts/en.ts` };
    const usual = { configFile: false, logLevel: "silent", resolve: { alias } };
    const [{ output }] = await build({ ...usual, build: { lib, write: false } });
    return import(`data:text/javascript,${encodeURIComponent(output[0].code)}`);
}

const modules = {};
for await (const line of createInterface({ input: process.stdin })) {
    const { file, calls } = JSON.parse(line);
    const m = await (modules[file] ??= made(file));
    console.log(JSON.stringify(eval(calls)));
}
"""
"""Makes each module once: to load Vite takes longer than all that is asked."""


@cache
def asking() -> "subprocess.Popen[str]":
    """Start the process that answers."""
    node = shutil.which("node")
    if node is None or not (UI / "node_modules/vite").exists():
        pytest.skip("needs Node.js and what `make page` installs")
    return subprocess.Popen(
        [node, "--input-type=module", "--eval", PROGRAM],
        cwd=UI,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


@pytest.fixture(scope="module", autouse=True)
def _ends() -> Iterator[None]:
    yield
    if asking.cache_info().currsize:
        asking().communicate(timeout=60)
        asking.cache_clear()


def asked(file: str, calls: str) -> Any:
    """Return what an expression of a module `m` of ours comes to."""
    node = asking()
    assert node.stdin is not None
    assert node.stdout is not None
    node.stdin.write(json.dumps({"file": file, "calls": calls}) + "\n")
    node.stdin.flush()
    if not (answer := node.stdout.readline()):
        asking.cache_clear()
        pytest.fail(node.communicate(timeout=60)[1])
    return json.loads(answer)


def test_an_old_minute_is_the_mean_of_its_samples_with_the_least_and_the_most() -> None:
    kept = asked(
        "history.ts",
        """(() => {
            let samples = [];
            for (let uptime = 0; uptime < 3800; uptime += 5) {
                const values = [uptime < 30 ? 100 : 0, uptime < 30 ? null : 7, null];
                samples = m.thinned([...samples, { uptime, values }], uptime);
            }
            const thinner = m.joined(samples.slice(0, 2));
            return { samples, thinner };
        })()""",
    )

    samples = kept["samples"]
    assert samples[0] == {
        "uptime": 27.5,
        "values": [50, 7, None],
        "low": [0, 7, None],
        "high": [100, 7, None],
    }
    assert (kept["thinner"]["low"][0], kept["thinner"]["high"][0]) == (0, 100)
    steps = [b["uptime"] - a["uptime"] for a, b in pairwise(samples)]
    assert (min(steps), max(steps[:-700])) == (5, 60)


def test_what_older_versions_tell_looks_like_the_latest() -> None:
    told = asked(
        "api.ts",
        """[
            m.complete({ bestDiff: "4.29G", bestSessionDiff: "512", stratumDiff: 9 }),
            m.complete({ bestDiff: "4.29 G", bestSessionDiff: "512 " }),
            m.complete({ bestDiff: 429e7, bestSessionDiff: 512, poolDifficulty: 8 }),
        ]""",
    )

    for info in told:
        assert info["bestDiff"] == pytest.approx(4.29e9)
        assert info["bestSessionDiff"] == 512
        assert info["hashRate_1m"] is None
    assert [info["poolDifficulty"] for info in told] == [9, 0, 8]


@pytest.mark.parametrize(
    ("ticks", "unit", "labels"),
    [
        ([18_400, 18_405, 18_410], "W", ["18.400 kW", "18.405 kW", "18.410 kW"]),
        ([0, 500, 1000], "W", ["0.0 kW", "0.5 kW", "1.0 kW"]),
        ([15, 20, 25], "W", ["15 W", "20 W", "25 W"]),
        ([1.0695e15, 1.07e15], "H/s", ["1.0695 PH/s", "1.0700 PH/s"]),
    ],
)
def test_labels_tell_ticks_apart(
    ticks: list[float], unit: str, labels: list[str]
) -> None:
    calls = f"m.scaledTicks({json.dumps(ticks)}, {json.dumps(unit)})"

    assert asked("format.ts", calls) == labels


def test_a_paused_device_has_no_rate_whatever_its_mean_is() -> None:
    rates = asked(
        "rates.ts",
        """[false, true].map((miningPaused) => m.currentRate(
            { hashRate: 900, expectedHashrate: 1070, miningPaused },
            { chips: { hashing: 1 } }))""",
    )

    assert rates == [900, 0]


def test_labels_of_an_axis_are_not_rounded() -> None:
    labels = asked("quantities.ts", "m.UNITS.celsius.ticks([40, 42.5, 45])")

    assert labels == ["40.0 °C", "42.5 °C", "45.0 °C"]


def test_a_chart_tells_of_a_place_what_is_known_there_and_when_it_was() -> None:
    found = asked(
        "drawing.ts",
        """(() => {
            const at = (time, boot) =>
                ({ time, uptime: time, boot, values: [time, null] });
            const points = [at(0, "a"), at(5, "a"), at(100, "a"), at(105, "b"),
                at(110, "b")];
            const rows = m.rowsOf(points, [0, 1], 60);
            const told = [-50, -2, 2, 4, 50, 98, 102.5, 107, 500];
            const marks = m.marksBefore(1000, [100, 1000], 3);
            const noon = new Date(2026, 0, 2, 12).getTime() / 1000;
            const places = [[noon - 90, noon, true], [noon - 86400, noon, true],
                [noon - 90, noon, false], [noon, noon, false]];
            const steps = [[null, 1], [null, -1], [1, 1], [3, 1], [6, 1], [3, -9]];
            const noise = [0, 5, 10, 59, 61].map((time) => at(time, "a"));
            noise[1].values[0] = 50;
            const minutes = m.rowsOf(m.minutely(noise), [0], 60);
            const plain = { ofNothing: 10 };
            const percent = { ofNothing: 100, least: 20, high: 100 };
            const ranges = [[0, 0, plain], [100, 102, plain], [98, 99, percent],
                [-50, -49, { ofNothing: 0, least: 20, low: -Infinity, high: 0 }]];
            return {
                times: rows.times,
                values: rows.lines.map(({ values }) => values),
                told: told.map((time) => m.rowAt(rows, time, 2)),
                marks,
                texts: marks.map((time) => m.markText(time, 1000)),
                places: places.map((place) => m.placeText(...place)),
                midnight: [noon - 43200, noon].map((time) => m.clockText(time, 3600)),
                steps: steps.map(([row, by]) => m.rowFrom(rows, row, by)),
                minutes,
                bands: m.bands(minutes.lines[0]),
                ranges: ranges.map((one) => m.axisRange(...one)),
                zoomed: [m.zoomed([0, 100], 50, 0.5, [0, 100], 5),
                    m.zoomed([40, 60], 60, 10, [0, 100], 5)],
            };
        })()""",
    )

    assert found["times"] == [0, 5, 52.5, 100, 102.5, 105, 110]
    first, second = found["values"]
    assert first == [0, 5, None, 100, None, 105, 110], "lines break in gaps"
    assert second == [None] * 7
    assert found["told"] == [None, 0, 0, 1, None, 3, None, 5, None]
    assert found["marks"] == [400, 700, 1000]
    assert found["texts"] == ["\N{MINUS SIGN}10 min", "\N{MINUS SIGN}5 min", "now"]
    ago = "\N{MINUS SIGN}1 min 30 s of device time"
    assert found["places"] == ["11:58:30", "1 Jan, 12:00:00", ago, "now"]
    assert found["midnight"] == ["2 Jan", "12:00"]
    assert found["steps"] == [0, 6, 3, 5, 6, 0], "keys go past gaps"
    assert found["minutes"]["times"] == [18.5, 61]
    (line,) = found["minutes"]["lines"]
    assert line == {"values": [29.75, 61], "low": [0, 61], "high": [59, 61]}
    assert found["bands"] == [[0, 1]]
    assert found["ranges"][0] == [0, 10], "nothing but 0 has an axis"
    assert found["ranges"][1] == pytest.approx([90.8, 111.2], abs=0.01)
    assert found["ranges"][2] == [80, 100]
    assert found["ranges"][3] == [-59.5, -39.5]
    assert found["zoomed"] == [[25, 75], [0, 100]]


def test_what_is_wrong_now_is_told_and_no_longer() -> None:
    answers = asked(
        "problems.ts",
        """(() => {
            const info = { hashRate: 1000, hashRate_1m: 1000, errorPercentage: 1,
                expectedHashrate: 1070, resetReason: "panic", ssid: "home",
                fanspeed: 40, fanrpm: 3000, voltage: 5100, nominalVoltage: 5 };
            const status = { bootMs: 9e5, work: "scaled", pool: "p",
                poolConnected: true, poolSilentSeconds: 1,
                unansweredShares: 0, unansweredSeconds: 0,
                chips: { answering: 1, hashing: 1 }, warnings: [], wifiTrouble: "" };
            const none = { accepted: 100, rejected: 2 };
            const tell = (i, s, shares, restarts = 0) => [
                m.state({ ...info, ...i }, { ...status, ...s }, shares),
                m.problems({ ...info, ...i }, { ...status, ...s }, undefined,
                    { shares, restarts }).map((one) => `${one.title}. ${one.advice}${
                        one.restarts ? " [Restart]" : ""}`)];
            return [
                tell({}, {}, none),
                tell({}, {}, { accepted: 16, rejected: 33 }),
                tell({ hashRate: 500, hashRate_1m: 500 }, {}, none),
                tell({ hashRate: 500, hashRate_1m: null }, {}, none),
                tell({ hashRate: 0 }, { bootMs: 9e3 }, none),
                tell({}, {}, none, 2),
                tell({ resetReason: "Software reset" }, {}, none, 2),
                tell({ overheat_mode: 1, power_fault: "x" },
                    { chips: { answering: 0, hashing: 0 } }, none),
                tell({ apEnabled: 1 }, { wifiTrouble: "Incorrect password entered" },
                    none),
                tell({ fanrpm: 0 }, {}, none),
                tell({ voltage: 4400 }, {}, none),
            ];
        })()""",
    )

    healthy, rejected, slow, unknown, young, looping, twice, *bad = answers
    off, locked_out, fan, supply = bad
    assert healthy == unknown == twice == [["good", "Mining"], []]
    assert rejected[0] == ["bad", "Shares rejected"]
    assert "33 of the last 49 shares, 67 %" in rejected[1][0]
    assert (slow[0], "47 %" in slow[1][0]) == (["warn", "Too slow"], True)
    assert young == [["warn", "Starting"], []]
    assert looping[1] == [
        "Restarts again and again. 2 times in the last 5 min. Last reset reason: panic."
    ]
    assert ["[Restart]" in one for one in off[1]] == [True, False], (
        "one button is enough"
    )
    assert "could not join home: the password is wrong." in locked_out[1][0]
    assert fan[1][0].startswith("The fan does not turn. It is set to 40 %.")
    assert supply[1][0].startswith("Input voltage too low. 4.40 V instead of 5 V.")


def test_shares_of_long_ago_say_nothing_about_now() -> None:
    found = asked(
        "shares.ts",
        """(() => {
            let counts = [];
            const look = (uptime, accepted, rejected) => {
                counts = m.counted(counts, { uptime, accepted, rejected });
                return m.lately(counts);
            };
            return [look(300, 0, 50), look(700, 40, 50), look(900, 60, 50),
                look(1400, 110, 51), look(10, 1, 0)];
        })()""",
    )

    since_boot = [{"accepted": n, "rejected": 50} for n in (0, 40)]
    assert found[:2] == since_boot
    assert found[2] == {"accepted": 60, "rejected": 0}
    assert found[3] == {"accepted": 70, "rejected": 1}
    assert found[4] == {"accepted": 1, "rejected": 0}


def test_each_way_to_get_no_answer_has_its_words() -> None:
    texts = asked(
        "api.ts",
        """[m.refusal(500, "Fault on order"), m.refusal(503, ""),
            m.refusal(401, "Unauthorized"), m.inWords(new TypeError("x")),
            m.inWords(new DOMException("x", "TimeoutError")),
            m.inWords(new SyntaxError("x"))]""",
    )

    assert texts[:2] == [
        "The device answers 500: Fault on order.",
        "The device answers 503.",
    ]
    assert "--allow-network" in texts[2]
    assert len(set(texts)) == len(texts)


def device(number: int, **members: object) -> dict[str, object]:
    return {
        "id": f"601-{number}",
        "hostname": f"bitaxe-{number:04x}",
        "url": f"http://127.0.0.{number}",
        "macAddr": f"02:00:00:00:00:{number:02X}",
        "group": "attic",
        "board": "601",
        "family": "Gamma",
        "firmware": "2.12.2",
        "state": "mining",
        "sharesAccepted": 0,
        "sharesRejected": 0,
        "faults": [],
        "effects": [],
        **members,
    }


def test_devices_are_found_named_and_sorted() -> None:
    rows = [
        device(1, effects=["fan_dead"], faults=["fault-7"]),
        device(2, state="rejecting", sharesAccepted=3, sharesRejected=9),
        device(10, firmware="2.9.0"),
    ]

    found = asked(
        "../fleet/table.ts",
        f"""(() => {{
            const rows = {json.dumps(rows)};
            const ids = (some) => some.map((row) => row.id);
            const view = {{ ...m.everything(), search: "FAN_dead attic", columns: [] }};
            const address = "state=rejecting&sort=-power&columns=id+power";
            return {{
                found: ids(m.chosen(rows, view)),
                rejecting: ids(m.chosen(rows, m.fromQuery(address))),
                problems: ids(m.chosen(rows, m.fromQuery("state=problems"))),
                range: m.between(rows, "601-10", "601-2"),
                gone: m.between(rows, "601-9", "601-2"),
                kept: m.fromQuery("state=away", ["id"]).columns,
                again: m.toQuery(m.fromQuery(address)),
                usual: m.toQuery(m.everything()),
                parts: rows.map(m.rejectPercent),
                sorted: ids(m.sorted(rows, (row) => m.inOrder(row.firmware), false)),
            }};
        }})()""",
    )

    one, two, ten = (row["id"] for row in rows)
    assert found["found"] == [one]
    assert found["rejecting"] == found["problems"] == found["gone"] == [two]
    assert (found["range"], found["kept"]) == ([two, ten], ["id"])
    assert found["again"] == "state=rejecting&sort=-power&columns=id+power"
    assert found["usual"] == ""
    assert found["parts"] == [None, 75, None]
    assert found["sorted"] == [ten, one, two]


def test_what_was_done_is_told_as_code() -> None:
    fault = {"effect": "pool_reject", "reason": 'it\'s "low"', "share": 0.5}
    bent = {"effect": "bend", "set": {"a.b": [1, {"c": "d"}]}, "null": "temp"}
    no_toml = {**bent, "set": {"a": [None]}}
    actions = [
        {"method": "POST", "path": "/control/faults", "body": fault, "now": 12.2},
        {"method": "PATCH", "path": "/control/clock", "body": {"speed": 60}, "now": 13},
        {"method": "POST", "path": "/control/devices/601-1/restart", "now": 132},
        {"method": "DELETE", "path": "/control/faults/a%20b", "now": 200},
        {"method": "POST", "path": "/control/reset", "now": 201},
        {
            "method": "PATCH",
            "path": "/control/faults/two",
            "body": {"paused": True, "device": ["a", "b"]},
            "now": 205,
        },
        {
            "method": "POST",
            "path": "/control/devices/orders",
            "body": {"order": "identify", "devices": ["601-1", "601-2"]},
            "now": 212,
        },
        {
            "method": "POST",
            "path": "/control/clock/advance",
            "body": {"until": 7200},
            "now": 213,
        },
        {"method": "POST", "path": "/control/faults", "body": bent, "now": 300},
        {"method": "POST", "path": "/control/faults", "body": no_toml, "now": 301},
    ]

    told = asked(
        "../fleet/code.ts",
        f"""["curl", "pytest", "scenario"].map((kind) =>
            m.asCode({json.dumps(actions)}, kind, "http://h:1", kind === "curl"))""",
    )

    curl, test, scenario = told
    _, *words = shlex.split(curl.splitlines()[0])
    token = "Authorization: Bearer $SOFTAXE_CONTROL_TOKEN"
    assert words[:4] == ["-X", "POST", "-H", token]
    assert words[4] == "http://h:1/control/faults"
    assert json.loads(words[6]) == fault
    assert ast.parse(test)
    assert test.splitlines() == [
        'fleet.faults.add("pool_reject", reason="it\'s \\"low\\"", share=0.5)',
        "fleet.clock.speed = 60",
        'fleet["601-1"].restart()',
        'fleet.faults.remove("a b")',
        'httpx.request("POST", fleet.control_url + "/control/reset")'
        ".raise_for_status()",
        'fleet.faults.change("two", paused=True, device=["a", "b"])',
        'for device in ["601-1", "601-2"]:',
        '    httpx.post(fleet[device].url + "/api/system/identify").raise_for_status()',
        "fleet.clock.advance(7200 - fleet.clock.now)",
        'fleet.faults.add("bend", set={"a.b": [1, {"c": "d"}]}, null="temp")',
        'fleet.faults.add("bend", set={"a": [None]}, null="temp")',
    ]
    read = read_scenario(tomllib.loads(scenario), "copied")
    assert [step.at_s for step in read.steps] == [0, 120, 188, 193, 200, 200, 288]
    assert read.steps[6].fault == bent
    assert read.steps[3].change == {"id": "two", "paused": True, "device": ["a", "b"]}
    identify = read.steps[5]
    assert identify.request is not None
    assert (identify.device, identify.request.path) == ("601-2", "/api/system/identify")
    assert [line for line in scenario.splitlines() if line.startswith("#")] == [
        "# 1s: PATCH /control/clock: Not a scenario step: time passes by each step's "
        "at.",
        "# 189s: POST /control/reset: Not a scenario step: every scenario starts from "
        "new.",
        "# 201s: POST /control/clock/advance: Not a scenario step: time passes by each "
        "step's at.",
        "# 289s: POST /control/faults: No scenario step does this.",
    ]
    assert read.steps[0].fault == fault
    assert (read.steps[1].device, read.steps[2].clear) == ("601-1", "a b")


def test_a_fault_is_read_from_a_form_and_told_by_what_changes() -> None:
    effect = {
        "name": "latency",
        "area": "requests",
        "of_requests": True,
        "help": "Answers come late.",
        "parameters": [
            {"name": name, "help": "How late.", "kind": kind, "choices": []}
            for name, kind in (
                ("ms", "number"),
                ("set", "table"),
                ("null", "names"),
                ("body", "text"),
            )
        ],
    }
    other = {**effect, "name": "x", "of_requests": False, "help": "", "parameters": []}
    typed = {"ms": "20", "device": "a, b-*,", "share": "0.5", "route": "/api/*"}
    typed |= {"set": '{"a.b": [1, null]}', "null": "temp, vr*", "body": '""'}
    typed["count"] = "3"
    rule = {"begins_at": 100, "ends_at": None, "changes_at": 130, "duration_s": 10}
    found = asked(
        "../fleet/rules.ts",
        f"""(() => {{
            const [effect, other] = {json.dumps([effect, other])};
            const order = m.orderOf(effect, {json.dumps(typed)});
            const presets = [{{ name: "Slow answers", rule: {{ effect: "latency" }} }}];
            const rule = {json.dumps(rule)};
            return {{
                order,
                other: m.orderOf(other, {{ route: "/", method: "", every_s: "60" }}),
                again: m.orderOf(effect, m.typedOf(order)),
                changes: m.changesOf({{ ...order, id: "x", paused: true }}, {{
                    ...order, device: "a", share: undefined, group: "g" }}),
                same: m.changesOf(order, order),
                torn: m.orderOf(effect, {{ set: "{{ no JSON" }}).set,
                ordered: m.orderedOf({{ id: "x", active: true, set: {{}}, null: [],
                    body: "", known: null, status: 200 }}),
                like: ["late ms", "SLOW", "fan"].map((words) =>
                    m.effectsLike([effect, other], presets, words).length),
                once: m.turns(rule, 0, 200),
                often: m.turns({{ ...rule, every_s: 60 }}, 100, 200),
                span: m.span([rule], 90),
            }};
        }})()""",
    )

    order = {"effect": "latency", "ms": 20, "share": 0.5, "route": "/api/*"}
    order |= {"device": ["a", "b-*"], "null": ["temp", "vr*"], "count": 3}
    order |= {"set": {"a.b": [1, None]}, "body": ""}
    assert found["order"] == found["again"] == order
    assert found["other"] == {"effect": "x", "every_s": 60}
    assert found["changes"] == {"device": "a", "share": None, "group": "g"}
    assert found["same"] == {}
    assert found["torn"] == "{ no JSON", "the control API complains of it"
    assert found["ordered"] == {"id": "x", "body": "", "status": 200}
    assert found["like"] == [1, 1, 0]
    assert found["once"] == [[0.5, 0.55]]
    assert found["often"] == [[0, 0.1], [0.6, 0.7]]
    assert found["span"] == [90, 135]


def test_a_pools_page_of_a_worker_is_known_by_the_pools_host() -> None:
    pools = [
        ("public-pool.io", "bc1qme.one"),
        ("EUsolo.ckpool.org", "bc1qme"),
        ("mine.ocean.xyz", "a/b?c.x"),
        ("evilpublic-pool.io", "bc1qme"),
        ("127.0.0.1", "bc1qme"),
        ("ocean.xyz", ""),
    ]
    pages, meanings = asked(
        "pool.ts",
        f"""[
            {json.dumps(pools)}.map(([host, user]) => m.poolPage(host, user) ?? null),
            {json.dumps(list(REASONS))}.map((reason) => m.meaning(reason)),
        ]""",
    )

    assert pages == [
        "https://web.public-pool.io/#/app/bc1qme",
        "https://eusolostats.ckpool.org/users/bc1qme",
        "https://ocean.xyz/stats/a%2Fb%3Fc",
        *(None, None, None),
    ]
    for reason, meaning in zip(REASONS, meanings, strict=True):
        assert REASONS[reason] in meaning, reason


def test_columns_fit_and_go_into_a_file() -> None:
    row = device(1, power=17.25, hashRate=1070.0, expectedHashrate=1000.0, temp=-1)

    narrow, wide, chosen, file = asked(
        "../fleet/columns.ts",
        f"""[
            m.columnsFor([], 400).map((one) => one.name),
            m.columnsFor([], 9000).length === m.COLUMNS.length,
            m.columnsFor(["power", "nosuch"], 9).map((one) => one.name),
            m.csv(m.columnsFor(["board", "power", "expected", "temp"], 0),
                [{{ ...{json.dumps(row)}, board: 'a "b", c' }}]),
        ]""",
    )

    assert narrow == ["hostname", "state", "hashRate"]
    assert wide is True
    assert chosen == ["hostname", "power"]
    assert list(csv.reader(file.splitlines())) == [
        ["Device", "Board", "Expected (%)", "Power (W)", "Chip (°C)"],
        ["bitaxe-0001", 'a "b", c', "107", "17.25", ""],
    ]


def test_rows_are_kept_up_to_date_by_what_is_new() -> None:
    old = [{**device(number), "startedAt": 0, "power": 20.0} for number in (1, 2)]
    new = {**device(3), "startedAt": 100}
    changed = {"id": old[1]["id"], "hashRate": 1000, "power": 17}
    empty = {"revision": "a-1", "removed": []}
    news = {**empty, "since": "a-1", "devices": [changed, new]}
    gone = {**empty, "since": "a-1", "devices": [], "removed": [old[0]["id"]]}

    same, found, left = asked(
        "../fleet/rows.ts",
        f"""(() => {{
            const all = {{ since: null, devices: {json.dumps(old)} }};
            const first = m.updated([], all, 60);
            const found = m.updated(first, {json.dumps(news)}, 60.5);
            return [found[0] === first[0] && found[1] !== first[1], found,
                m.updated(found, {json.dumps(gone)}, 70).map((row) => row.id)];
        }})()""",
    )

    assert same is True
    assert [row["uptimeSeconds"] for row in found] == [60, 60, 0]
    assert (found[1]["efficiency"], found[1]["hostname"]) == (17, old[1]["hostname"])
    assert left == [old[1]["id"], new["id"]]


def test_what_a_device_says_is_grouped_and_has_units() -> None:
    info = {
        "coreVoltageActual": 1144,
        "voltage": 5156.25,
        "temp": -1,
        "statsFrequency": 0,
        "autofanspeed": 1,
        "stratumPort": 3333,
        "fanTwist": 0.123456789,
        "new": {"a": [1]},
    }

    groups = dict(asked("../fleet/members.ts", f"m.grouped({json.dumps(info)})"))

    told = {one["name"]: one["value"] for group in groups.values() for one in group}
    assert told == {
        "coreVoltageActual": "1,144 mV",
        "voltage": "5.16 V",
        "temp": "–",
        "statsFrequency": "off",
        "autofanspeed": "yes",
        "stratumPort": "3333",
        "fanTwist": "0.123457",
        "new": '{"a":[1]}',
    }
    assert [one["label"] for one in groups["Pool"]] == ["Port"]
    assert [one["name"] for one in groups["Other"]] == ["new"]


def test_moments_are_read_as_people_write_them() -> None:
    texts = ["90", "2 h 5 min", "1d4h", "1.5h", "2 h x", "soon", "5 parsecs", ""]

    told = asked("../fleet/moments.ts", f"{json.dumps(texts)}.map(m.secondsOf)")

    assert told == [90, 7500, 100_800, 5400, None, None, None, None]


def test_a_line_of_the_past_has_gaps_and_its_last_point() -> None:
    paths = asked(
        "../fleet/spark.ts",
        """[
            m.line([1, null, 3, 2], 100, 24),
            m.line([5, 5], 100, 24),
            m.line(Array.from({ length: 720 }, (_, place) => place), 100, 24)
                .split("L").length,
            m.line([null], 100, 24),
        ]""",
    )

    assert paths[:2] == ["M0.0 24.0M66.7 0.0L100.0 12.0", "M0.0 12.0L100.0 12.0"]
    assert paths[2] == 60
    assert paths[3] == ""
