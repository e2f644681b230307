"""Functions of the page that are easier to ask than to look at, in Node.js."""

import json
import shutil
import subprocess
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

UI = Path(__file__).parents[2] / "ui"


def asked(file: str, calls: str) -> Any:
    """Return what an expression of a module `m` of ours comes to."""
    node = shutil.which("node")
    if node is None or not (UI / "node_modules/vite").exists():
        pytest.skip("needs Node.js and what `make page` installs")
    program = f"""
        import {{ transformWithOxc }} from "vite";
        import {{ readFileSync }} from "node:fs";
        const text = readFileSync({json.dumps(f"src/lib/{file}")}, "utf8");
        const code = encodeURIComponent((await transformWithOxc(text, "m.ts")).code);
        const m = await import(`data:text/javascript,${{code}}`);
        console.log(JSON.stringify({calls}));
    """
    ended = subprocess.run(
        [node, "--input-type=module", "--eval", program],
        cwd=UI,
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    return json.loads(ended.stdout)


def test_an_old_minute_is_the_mean_of_its_samples() -> None:
    kept = asked(
        "history.ts",
        """(() => {
            let samples = [];
            for (let uptime = 0; uptime < 3800; uptime += 5) {
                const hashrate = uptime < 30 ? 100 : 0;
                const sample = { uptime, hashrate, temp: 0, vr: 0, power: 0, fan: 0 };
                samples = m.thinned([...samples, sample], uptime);
            }
            return samples;
        })()""",
    )

    assert (kept[0]["uptime"], kept[0]["hashrate"]) == (27.5, 50)
    steps = [b["uptime"] - a["uptime"] for a, b in pairwise(kept)]
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
