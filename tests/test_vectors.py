"""Every vector of the reference is read by some test, or left out on purpose."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

TESTS = Path(__file__).parent
GROUPS = ("asic", "utils", "coinbase_decode_newest")
"""Vectors that lie one level deeper."""
OUT_OF_SCOPE = {
    '["meta"]': "no vectors",
    '["asic"]["job_timeout_newest"]': "no release of the catalogue's goes by it",
}


def paths(vectors: dict[str, Any]) -> Iterator[str]:
    for name, value in vectors.items():
        if name in GROUPS:
            yield from (f'["{name}"]["{part}"]' for part in value)
        else:
            yield f'["{name}"]'


def test_no_vector_is_left_unread(vectors: dict[str, Any]) -> None:
    sources = "".join(
        path.read_text(encoding="utf-8")
        for path in TESTS.rglob("*.py")
        if path.name != Path(__file__).name
    )
    unread = {path for path in paths(vectors) if f"vectors{path}" not in sources}

    assert unread == set(OUT_OF_SCOPE)
