import random
import shutil
import subprocess
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path

import pytest
from tests.each import each

from softaxe.bitcoin import kernel
from softaxe.bitcoin.header import nbits_target, sha256d
from softaxe.bitcoin.sha256 import INITIAL_STATE, compress

GENESIS = bytes.fromhex(
    "0100000000000000000000000000000000000000000000000000000000000000"
    "000000003ba3edfd7a7b12b27ac72c3e67768f617fc81bc3888a51323a9fb8aa"
    "4b1e5e4a29ab5f49ffff001d1dac2b7c"
)
GENESIS_NONCE = int.from_bytes(GENESIS[76:])


def from_midstate(search_midstate: kernel.MidstateSearch) -> kernel.Search:
    """Let a search from a midstate take whole headers."""

    def search(header: bytes, first: int, count: int, target: int) -> list[int]:
        if len(header) != 80:
            raise ValueError(f"header: {len(header)} bytes, not 80")
        state = kernel.midstate(header[:64])
        return search_midstate(state, header[64:76], first, count, target)

    return search


SEARCHES = {
    **kernel.VARIANTS,
    **{
        f"{name} from a midstate": from_midstate(search)
        for name, search in kernel.MIDSTATE_VARIANTS.items()
    },
}


HERE = Path(__file__).parent
SOURCES = HERE.parents[1] / "src" / "softaxe" / "bitcoin"
COMPILER, EMULATOR = "aarch64-linux-gnu-gcc", "qemu-aarch64"
EMULATED = {"arm-sha2, emulated": "arm-sha2", "c on Arm, emulated": "c"}
"""Variants that are cross-compiled and run by an emulator of the CPU."""


class Emulated:
    """A kernel on an emulated CPU: one line in for each search, and one out."""

    def __init__(self, program: Path, variant: str) -> None:
        self._variant = variant
        self._process = subprocess.Popen(
            [EMULATOR, "-cpu", "max", program],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def __call__(self, header: bytes, first: int, count: int, target: int) -> list[int]:
        state, tail = kernel.midstate(header[:64]).hex(), header[64:76].hex()
        words = f"{state} {tail} {first} {count} {target.to_bytes(32, 'little').hex()}"
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(f"{self._variant} {words}\n")
        self._process.stdin.flush()
        return [int(word) for word in self._process.stdout.readline().split()]

    def close(self) -> None:
        self._process.communicate(timeout=20)


@pytest.fixture(scope="module")
def arm_program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    if shutil.which(COMPILER) is None or shutil.which(EMULATOR) is None:
        pytest.skip(f"needs {COMPILER} and {EMULATOR}")
    made = tmp_path_factory.mktemp("arm") / "kernel"
    # To make it fast would take longer than it runs.
    options = ["-O1", "-Wall", "-Wextra", "-Werror", "-static", f"-I{SOURCES}"]
    main = HERE / "kernel_main.c"
    subprocess.run([COMPILER, *options, main, "-o", made], check=True, timeout=120)
    return made


@pytest.fixture(params=[*SEARCHES, *EMULATED])
def search(request: pytest.FixtureRequest) -> Iterator[kernel.Search]:
    if request.param in SEARCHES:
        yield SEARCHES[request.param]
        return
    program: Path = request.getfixturevalue("arm_program")
    emulated = Emulated(program, EMULATED[request.param])
    yield emulated
    emulated.close()


@cache  # each variant is asked the same
def reference(header: bytes, first: int, count: int, target: int) -> list[int]:
    """The plainest search there is."""
    nonces = [n & 0xFFFFFFFF for n in range(first, first + count)]
    return [
        nonce
        for nonce in nonces
        if int.from_bytes(sha256d(header[:76] + nonce.to_bytes(4)), "little") <= target
    ]


class TestSearch:
    @pytest.mark.unwatched
    def test_the_genesis_block_is_found(self, search: kernel.Search) -> None:
        target = nbits_target(0x1D00FFFF)

        assert search(GENESIS, GENESIS_NONCE - 40, 80, target) == [GENESIS_NONCE]

    @pytest.mark.unwatched
    def test_random_headers_targets_and_ranges(self, search: kernel.Search) -> None:
        rng = random.Random(1)
        for _ in range(60):
            header = rng.randbytes(80)
            first = rng.getrandbits(32)
            count = rng.randrange(200)
            target = rng.getrandbits(rng.randrange(240, 257))

            found = search(header, first, count, target)

            assert found == reference(header, first, count, target)

    def test_the_range_wraps_around(self, search: kernel.Search) -> None:
        header = bytes(range(80))
        target = 1 << 254

        found = search(header, 0xFFFFFFC0, 128, target)

        assert found == reference(header, 0xFFFFFFC0, 128, target)
        assert min(found) < 64
        assert max(found) >= 0xFFFFFFC0

    @pytest.mark.unwatched
    def test_counts_around_the_width_of_a_variant(self, search: kernel.Search) -> None:
        header = bytes(range(80, 160))
        for count in (1, 2, 3, 4, 5, 7, 8, 9, 15, 16, 17, 31, 33, 49):
            for target in (1 << 255, (1 << 256) - 1, 0):
                found = search(header, 5, count, target)

                assert found == reference(header, 5, count, target), count

    def test_the_target_itself_is_met(self, search: kernel.Search) -> None:
        header = bytes(80)
        exact = int.from_bytes(sha256d(header[:76] + (7).to_bytes(4)), "little")

        assert search(header, 7, 1, exact) == [7]
        assert search(header, 7, 1, exact - 1) == []

    @pytest.mark.unwatched
    def test_more_hits_than_fit_into_one_batch(self, search: kernel.Search) -> None:
        found = search(bytes(80), 10, 5000, (1 << 256) - 1)

        assert found == list(range(10, 5010))

    def test_nothing_is_searched_when_nothing_is_asked(
        self, search: kernel.Search
    ) -> None:
        assert search(bytes(80), 0, 0, (1 << 256) - 1) == []


@each("name", SEARCHES)
@each(
    ("arguments", "reason"),
    [
        ((bytes(79), 0, 1, 0), "header"),
        ((bytes(80), -1, 1, 0), "first_nonce"),
        ((bytes(80), 1 << 32, 1, 0), "first_nonce"),
        ((bytes(80), 0, -1, 0), "count"),
        ((bytes(80), 0, 1, 1 << 256), "target"),
    ],
)
def test_arguments_out_of_range_are_refused(
    name: str, arguments: tuple[bytes, int, int, int], reason: str
) -> None:
    with pytest.raises(ValueError, match=reason):
        SEARCHES[name](*arguments)


def test_the_search_is_a_native_one_where_there_is_one() -> None:
    has_native = len(kernel.VARIANTS) > 1
    assert has_native == (kernel.chosen_variant() != kernel.PYTHON)
    target = nbits_target(0x1D00FFFF)
    assert kernel.search(GENESIS, GENESIS_NONCE, 1, target) == [GENESIS_NONCE]


def without_lane(search: kernel.Search) -> kernel.Search:
    """A search that is blind in one of sixteen lanes."""

    def broken(header: bytes, first: int, count: int, target: int) -> list[int]:
        found = search(header, first, count, target)
        return [nonce for nonce in found if (nonce - first) % 16 != 9]

    return broken


def without_hits(_: kernel.Search) -> kernel.Search:
    """A search that finds nothing."""
    return lambda *arguments: []


@pytest.mark.skipif(len(kernel.VARIANTS) == 1, reason="no compiler made a variant")
@pytest.mark.parametrize("spoil", [without_lane, without_hits])
def test_a_variant_that_does_not_know_the_answer_is_not_chosen(
    monkeypatch: pytest.MonkeyPatch,
    spoil: Callable[[kernel.Search], kernel.Search],
) -> None:
    chosen = kernel.chosen_variant()
    monkeypatch.setitem(kernel.VARIANTS, chosen, spoil(kernel.VARIANTS[chosen]))
    kernel.chosen_variant.cache_clear()
    try:
        assert kernel.chosen_variant() != chosen
    finally:
        monkeypatch.undo()
        kernel.chosen_variant.cache_clear()


def test_a_midstate_is_the_state_after_the_first_block() -> None:
    assert kernel.midstate(GENESIS[:64]) == compress(INITIAL_STATE, GENESIS[:64])
    with pytest.raises(ValueError, match="head: 63 bytes"):
        kernel.midstate(bytes(63))


@each("variant", [kernel.chosen_variant(), kernel.PYTHON])
def test_several_ranges_are_searched_as_one_after_the_other(
    variant: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    rng, target = random.Random(2), 1 << 250
    ranges = [
        (rng.randbytes(80), first, count)
        for first, count in [(0, 128), (7, 0), (5, 1), (2**32 - 20, 100), (1 << 31, 67)]
    ]
    monkeypatch.setattr(kernel, "chosen_variant", lambda: variant)
    found = kernel.search_each(ranges, target)
    assert found == [
        (place, nonce, sha256d(header[:76] + nonce.to_bytes(4)))
        for place, (header, first, count) in enumerate(ranges)
        for nonce in kernel.search_python(header, first, count, target)
    ]
    assert {place for place, _, _ in found} >= {0, 3}
    for header in (bytes(79), bytes(81)):
        with pytest.raises(ValueError, match="bytes, not 80"):
            kernel.search_each([*ranges, (header, 0, 1)], target)


def test_bytes_of_any_length_are_hashed_twice() -> None:
    data = random.Random(1).randbytes(1000)
    for size in [*range(200), 1000]:
        assert kernel.sha256d(data[:size]) == kernel.sha256d_python(data[:size])
    with pytest.raises(TypeError):
        kernel.sha256d("text")  # type: ignore[arg-type]


@each(("state", "tail"), [(31, 12), (32, 11), (33, 13)])
def test_midstates_and_tails_have_their_sizes(state: int, tail: int) -> None:
    with pytest.raises(ValueError, match="bytes, not"):
        kernel.search_midstate(bytes(state), bytes(tail), 0, 1, 0)
