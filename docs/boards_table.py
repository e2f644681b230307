"""Writes the table of docs/boards.md: every board's typical specimen at its defaults.

`make docs` runs it; tests/scenarios/test_boards.py compares it.
"""

from pathlib import Path

from softaxe.api.docs import table
from softaxe.catalog import Board, boards
from softaxe.catalog.firmware import versions
from softaxe.catalog.lottery import typical
from softaxe.device.steady import steady_state

PAGE = Path(__file__).parent / "boards.md"
BEGIN = "<!-- table of boards: made by make docs -->"
END = "<!-- end of the table -->"
HEADS = (
    "board",
    "family",
    "chips",
    "expected GH/s",
    "simulated GH/s",
    "power W",
    "temp °C",
    "temp2 °C",
    "vrTemp °C",
    "fan",
    "firmware",
)


def board_row(row: Board) -> list[str]:
    """Tell where the typical specimen settles."""
    mhz = row.default_frequency_mhz
    state = steady_state(
        typical(row),
        frequency_mhz=mhz,
        core_voltage_mv=row.default_core_voltage_mv,
    )
    power = state.power
    return [
        f"`{row.version}`",
        row.family,
        f"{row.asic_count} x {row.chip.name}",
        f"{row.expected_hashrate_hs(mhz) / 1e9:.0f}",
        f"{state.hashrate_hs / 1e9:.0f}",
        f"{power.power_w:.1f}",
        f"{state.temp_c:.1f}",
        f"{state.temp2_c:.1f}" if row.sensor_count > 1 else "none",
        f"{power.vr_temp_c:.0f}" if row.has_tps546 else "none",
        f"{state.fan_percent:.0f} %, {round(state.fan_rpm, -1)} rpm",
        _releases(row),
    ]


def _releases(row: Board) -> str:
    """Say which releases know a board; nothing when all do."""
    first, last = row.releases[0], row.releases[-1]
    known = versions()
    if last != known[-1]:
        return f"{first} to {last}"
    return "" if first == known[0] else f"from {first}"


def main() -> None:
    """Put the table into the page, between its markers."""
    rows = [board_row(row) for row in boards()]
    before, _, rest = PAGE.read_text(encoding="utf-8").partition(BEGIN)
    _, _, after = rest.partition(END)
    text = f"{before}{BEGIN}\n\n{table(HEADS, rows)}\n\n{END}{after}"
    PAGE.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
