"""Many cases of one rule in one test."""

from collections.abc import Callable, Iterable
from functools import wraps
from inspect import Parameter, signature
from typing import Any

import pytest


def each(
    names: str | tuple[str, ...], cases: Iterable[Any]
) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Run a test with each of these cases, one after the other.

    As `pytest.mark.parametrize`, but all cases are one item of pytest: to make, deal
    and count an item takes longer than most cases do. Each case that fails is a subtest
    that fails, named by its values. For tests that may share their fixtures.

    Args:
        names: Of a case's arguments: one, or as many as each case has values.
        cases: What to call the test with.
    """
    whole = [
        dict(zip(names, case, strict=True))
        if isinstance(names, tuple)
        else {names: case}
        for case in cases
    ]
    assert whole, "there is no case"

    def decorate(test: Callable[..., None]) -> Callable[..., None]:
        own = signature(test).parameters
        kept = [own[name] for name in own if name not in whole[0]]
        takes_subtests = "subtests" in own  # as one with cases of its own does
        if not takes_subtests:
            kept.append(Parameter("subtests", Parameter.KEYWORD_ONLY))

        @wraps(test)
        def run(*instance: Any, subtests: pytest.Subtests, **fixtures: Any) -> None:
            __tracebackhide__ = True
            if takes_subtests:
                fixtures["subtests"] = subtests
            for case in whole:
                try:
                    test(*instance, **case, **fixtures)
                except Exception:
                    with subtests.test(**case):
                        raise

        # Where pytest reads which fixtures it wants.
        vars(run)["__signature__"] = signature(test).replace(parameters=kept)
        return run

    return decorate
