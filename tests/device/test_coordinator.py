from softaxe.device.coordinator import PRIMARY_S, RECOVERY_S, Coordinator
from softaxe.units import NEVER, Level


def coordinator(
    *, prefers_fallback: bool = False, has_fallback: bool = True
) -> Coordinator:
    def log(level: Level, tag: str, text: str) -> None:
        assert tag == "protocol_coordinator"

    return Coordinator(
        prefers_fallback=prefers_fallback, has_fallback=has_fallback, log=log
    )


def test_a_success_between_two_failures_keeps_it_mining() -> None:
    one = coordinator()
    for now in range(0, 100, 10):
        one.gave_up(now)
        one.succeeded(now + 5)

    assert not one.has_no_pool


def test_it_asks_nobody_on_the_pool_of_its_choice() -> None:
    one = coordinator()
    one.succeeded(0)

    assert (one.probe_at, one.targets) == (NEVER, [])


def test_each_event_puts_off_the_look_at_the_primary() -> None:
    one = coordinator()
    one.gave_up(0)
    assert (one.probe_at, one.targets) == (PRIMARY_S, [False])

    one.succeeded(50)
    assert one.probe_at == 50 + PRIMARY_S
    one.found_none(110)
    assert one.probe_at == 110 + PRIMARY_S


def test_a_pool_found_again_is_used_whichever_it_is() -> None:
    one = coordinator()
    one.gave_up(0)
    one.gave_up(30)
    assert (one.probe_at, one.targets) == (30 + RECOVERY_S, [False, True])

    one.found(60, is_fallback=True)
    assert one.is_using_fallback
    assert not one.has_no_pool
    assert (one.probe_at, one.targets) == (60 + PRIMARY_S, [False])


def test_without_a_fallback_only_the_primary_is_asked() -> None:
    one = coordinator(has_fallback=False)
    one.gave_up(0)

    assert one.has_no_pool
    assert one.targets == [False]
