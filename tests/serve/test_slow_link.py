import pytest

from softaxe.faults import Slowness
from softaxe.serve.slow_link import MOST_HELD_BYTES, SlowLink
from softaxe.units import NEVER


def test_what_is_sent_leaves_late_and_its_second_half_later_still() -> None:
    link = SlowLink(Slowness(late_s=0.5, stall_s=2.0))

    assert link.send(b"submit", 10.0) == 12.5
    assert link.send(b"next", 11.0) == 14.5, "never before what was sent first"

    assert link.next_wake == 10.5
    assert link.to_send(10.4) == b""
    assert link.to_send(10.5) == b"sub"
    assert link.to_send(12.5) == b"mit" + b"ne"
    assert link.to_send(99.0) == b"xt"
    assert link.is_idle
    assert link.next_wake == NEVER


def test_what_comes_is_read_so_fast_and_no_faster() -> None:
    link = SlowLink(Slowness(bytes_per_s=10.0))
    link.receive(b"0123456789abc", 5.0)

    assert link.is_behind
    assert link.to_read(5.0) == b""
    assert link.next_wake == pytest.approx(5.1)
    assert link.to_read(5.35) == b"012"
    assert link.to_read(5.4) == b"3"
    link.receive(b"def", 6.0)
    assert link.to_read(6.0) == b"456789"
    assert link.to_read(60.0) == b"abcdef"
    assert link.is_idle


def test_a_link_that_is_no_longer_slow_lets_go_what_it_holds() -> None:
    link = SlowLink(Slowness(late_s=1.0, bytes_per_s=1.0))
    link.receive(b"many bytes", 0.0)
    link.send(b"share", 0.0)

    link.slowness = Slowness()
    assert link.to_read(0.1) == b"many bytes"
    assert link.send(b"!", 0.1) == 1.0
    assert link.to_send(1.0) == b"share!"
    assert link.is_idle


def test_what_is_held_has_a_bound() -> None:
    link = SlowLink(Slowness(late_s=1000.0, bytes_per_s=1.0))
    link.send(bytes(MOST_HELD_BYTES + 1), 0.0)
    link.receive(bytes(MOST_HELD_BYTES + 1), 0.0)

    assert link.send(b"x", 1.0) == 1000.0, "behind the rest, and no later"
    assert len(link.to_read(1.0)) == MOST_HELD_BYTES + 1
