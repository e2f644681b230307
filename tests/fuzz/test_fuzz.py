import runpy
from pathlib import Path
from types import SimpleNamespace

import pytest

fuzzing = SimpleNamespace(**runpy.run_path(str(Path(__file__).with_name("fuzzing.py"))))
SEED = 11


@pytest.mark.parametrize("name", fuzzing.names())
def test_whatever_comes_is_borne(name: str) -> None:
    target = fuzzing.target(name)

    fuzzing.fire(target, seed=SEED, runs=target.runs)


def test_a_defect_is_found_and_its_input_told() -> None:
    def one_input(data: bytes) -> None:
        assert b"]" not in data

    target = fuzzing.Target("easy", one_input, [b"[1, 2]"[:-1]])

    with pytest.raises(AssertionError, match=r"easy does not bear b'.*\]"):
        fuzzing.fire(target, seed=SEED, runs=1000)


def test_the_same_seed_tries_the_same_inputs() -> None:
    def tried(seed: int) -> list[bytes]:
        found: list[bytes] = []
        target = fuzzing.Target("any", found.append, [b"one", b"two"])
        fuzzing.fire(target, seed=seed, runs=50)
        return found

    assert tried(1) == tried(1)
    assert tried(1) != tried(2)
