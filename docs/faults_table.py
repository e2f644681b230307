"""Writes the table of docs/faults.md; a test compares it."""

from pathlib import Path

from softaxe.description import Member
from softaxe.effects import EFFECTS, help_of, parameters

PAGE = Path(__file__).with_name("faults.md")
BEGIN, END = "<!-- effects -->\n", "<!-- end of effects -->\n"


def table() -> str:
    """Return one row per effect."""
    lines = ["| effect | acts on | parameters | what happens |", "|---|---|---|---|"]
    for name, effect in EFFECTS.items():
        told = "; ".join(map(_parameter, parameters(effect))) or "none"
        lines.append(f"| `{name}` | {effect.layer} | {told} | {help_of(effect)} |")
    return "\n".join(lines) + "\n"


def _parameter(parameter: Member) -> str:
    unit = f" {parameter.unit}" if parameter.unit else ""
    if parameter.choices:
        allowed = ", ".join(parameter.choices)
    elif parameter.limits:
        low, high = parameter.limits
        allowed = f"{low:g} to {high:g}{unit}"
    else:
        allowed = "text"
    default = parameter.default
    shown = f"{default:g}" if isinstance(default, float) else str(default)
    return f"`{parameter.name}` ({allowed}; {shown})"


def with_table(page: str) -> str:
    """Return the page with the present table."""
    before, _, rest = page.partition(BEGIN)
    _, _, after = rest.partition(END)
    return f"{before}{BEGIN}{table()}{END}{after}"


if __name__ == "__main__":
    PAGE.write_text(with_table(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
