import random
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.each import each

from softaxe.bitcoin.header import merkle_root, nbits_difficulty, sha256d
from softaxe.stratum.chain import (
    MAX_TRANSACTIONS,
    START_HEIGHT,
    Chain,
    merkle_branch,
    subsidy_sat,
)

pytestmark = pytest.mark.unwatched

START_TIME = 1_768_000_000


def make_chain(
    *,
    seed: int = 1,
    network_difficulty: float = 34_103.0,
    block_interval_s: float = 600.0,
) -> Chain:
    return Chain(
        random.Random(seed),
        network_difficulty=network_difficulty,
        block_interval_s=block_interval_s,
        transaction_interval_s=30.0,
        start_time=START_TIME,
    )


def whole_merkle_root(hashes: list[bytes]) -> bytes:
    """The textbook way, over all leaves."""
    while len(hashes) > 1:
        if len(hashes) % 2:
            hashes = [*hashes, hashes[-1]]
        hashes = [sha256d(hashes[i] + hashes[i + 1]) for i in range(0, len(hashes), 2)]
    return hashes[0]


@given(st.lists(st.binary(min_size=32, max_size=32), max_size=40))
def test_branch_gives_the_root_of_all_transactions(transactions: list[bytes]) -> None:
    coinbase = sha256d(b"coinbase")

    branch = merkle_branch(transactions)

    assert merkle_root(coinbase, branch) == whole_merkle_root([coinbase, *transactions])


def test_new_transactions_change_the_template_every_thirty_seconds() -> None:
    chain = make_chain(block_interval_s=1e9)
    first = chain.template

    chain.step(29.9)
    assert chain.template is first

    chain.step(30.0)
    second = chain.template
    assert second.height == first.height == START_HEIGHT
    assert second.prevhash == first.prevhash
    assert second.merkle_branch != first.merkle_branch
    assert second.value_sat > first.value_sat
    assert second.ntime == START_TIME + 30
    assert chain.next_wake == 60.0


def test_blocks_of_others_link_and_come_about_every_ten_minutes() -> None:
    chain = make_chain()

    chain.step(100 * 600.0)

    headers = list(chain.headers)
    assert 75 <= len(headers) <= 125
    assert chain.template.height == START_HEIGHT + len(headers)
    for before, after in pairwise(headers):
        assert len(after) == 80
        assert after[4:36] == sha256d(before)
    assert chain.template.prevhash == sha256d(headers[-1])


def test_a_block_takes_the_waiting_transactions_along() -> None:
    chain = make_chain(block_interval_s=1e9)
    chain.step(3000.0)
    assert len(chain.template.merkle_branch) >= 6

    chain.extend(bytes(80), 3000.5)

    template = chain.template
    assert template.merkle_branch == ()
    assert template.value_sat == subsidy_sat(template.height)
    assert template.prevhash == sha256d(bytes(80))
    assert template.ntime == START_TIME + 3000


def test_transactions_that_wait_forever_do_not_pile_up() -> None:
    chain = make_chain(block_interval_s=1e9)

    chain.step(30.0 * 1000)

    assert len(chain.template.merkle_branch) == MAX_TRANSACTIONS.bit_length()


@pytest.mark.parametrize("slice_s", [0.7, 30.0, 1000.0])
def test_slices_of_time_and_seed_decide_nothing_else(slice_s: float) -> None:
    whole, sliced, other = make_chain(), make_chain(), make_chain(seed=2)

    whole.step(3600.0)
    other.step(3600.0)
    steps = int(3600 / slice_s)
    for number in range(1, steps + 1):
        sliced.step(number * slice_s)
    sliced.step(3600.0)

    assert sliced.template == whole.template
    assert other.template != whole.template


@each("difficulty", [1e-9, 2.0**-20, 1.0, 34_103.0, 1.46e14])
def test_network_difficulty_is_what_the_header_can_express(difficulty: float) -> None:
    chain = make_chain(network_difficulty=difficulty)

    assert chain.template.nbits == chain.nbits
    assert chain.network_difficulty == nbits_difficulty(chain.nbits)
    assert chain.network_difficulty == pytest.approx(
        max(difficulty, 2.0**-32), rel=1e-4
    )


@each(
    ("height", "subsidy"),
    [
        (0, 5_000_000_000),
        (209_999, 5_000_000_000),
        (210_000, 2_500_000_000),
        (START_HEIGHT, 312_500_000),
        (210_000 * 80, 0),
    ],
)
def test_subsidy_halves_every_210000_blocks(height: int, subsidy: int) -> None:
    assert subsidy_sat(height) == subsidy
