from softaxe.stratum.ledger import MOST_WAITING, ShareLedger, Unanswered


def test_an_answer_is_told_with_the_moment_its_share_left() -> None:
    ledger = ShareLedger()
    ledger.submitted(5)
    ledger.submitted(6)

    assert ledger.left(10.0) == 2
    ledger.answered(6, "Job not found")
    ledger.answered(5, None)
    ledger.answered(5, None)
    ledger.answered(3, None)

    assert ledger.replies() == [(10.0, "Job not found"), (10.0, None)]
    assert ledger.replies() == []
    assert ledger.waiting == 0


def test_one_answer_may_be_for_all_shares_up_to_one() -> None:
    ledger = ShareLedger()
    for number in range(4):
        ledger.submitted(number)
        ledger.left(float(number))
    ledger.answered(1, "stale-share")

    ledger.accepted(2, count=2)

    assert ledger.replies() == [(1.0, "stale-share"), (0.0, None), (2.0, None)]
    assert ledger.waiting == 1


def test_an_answer_for_few_shares_leaves_those_before_them_unanswered() -> None:
    ledger = ShareLedger()
    for number in range(4):
        ledger.submitted(number)
        ledger.left(float(number))

    ledger.accepted(2, count=1)

    assert ledger.replies() == [(2.0, None)]
    assert ledger.waiting == 3
    ledger.accepted(3, count=99)
    assert ledger.waiting == 0


def test_a_pool_that_never_answers_does_not_fill_the_memory() -> None:
    ledger = ShareLedger()
    for number in range(3 * MOST_WAITING):
        ledger.submitted(number)
        ledger.left(0.0)
    assert ledger.waiting == MOST_WAITING

    unheard = ShareLedger()
    for number in range(3 * MOST_WAITING):
        unheard.submitted(number)
        unheard.answered(number, None)
    assert unheard.left(0.0) == MOST_WAITING
    assert unheard.replies() == []


def test_shares_are_unanswered_since_the_first_or_the_last_answer() -> None:
    shares = Unanswered()
    for number in (4, 5, 6):
        shares.submitted(number, float(number))
    assert (shares.count, shares.since) == (3, 4.0)

    shares.answered(5, 9.0)
    assert (shares.count, shares.since) == (1, 9.0)
    shares.answered(4, 10.0)
    assert shares.count == 1
    shares.answered(6, 11.0)
    assert shares.count == 0
    shares.submitted(7, 500.0)
    assert (shares.count, shares.since) == (1, 500.0)


def test_a_single_lost_answer_leaves_nothing_unanswered() -> None:
    shares = Unanswered()
    shares.submitted(4, 4.0)
    shares.submitted(5, 5.0)

    shares.answered(5, 6.0)

    assert shares.count == 0
