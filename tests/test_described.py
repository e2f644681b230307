"""What is made from the descriptions is what `make docs` would make now."""

import importlib.util
from pathlib import Path

ROOT = Path(__file__).parents[1]


def test_pages_schemas_and_types_are_up_to_date() -> None:
    path = ROOT / "docs" / "described.py"
    spec = importlib.util.spec_from_file_location("described", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)

    for output, text in module.outputs():
        assert output.read_text(encoding="utf-8") == text, f"{output}: run make docs"
