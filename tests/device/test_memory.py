import random

from softaxe.device.memory import INTERNAL, LEAST, Memory


def test_free_memory_comes_and_goes_a_little() -> None:
    memory, rng = Memory(0.0), random.Random(1)
    seen = set()
    for second in range(50):
        assert memory.look(float(second), rng) is False
        seen.add(memory.heap.internal)
        heap = memory.heap
        assert heap.free == heap.internal + heap.spiram - 31971, "as all dumps say"

    assert len(seen) > 40
    assert min(seen) > INTERNAL - 2000


def test_a_leak_ends_in_a_crash_and_a_mended_one_gives_back() -> None:
    memory, rng = Memory(0.0), random.Random(1)
    memory.set_leak(1000.0, 10.0)

    assert memory.look(60.0, rng) is False
    assert 50_000 < memory.heap.internal < 55_000
    memory.set_leak(2000.0, 60.0)  # it has leaked since 10.0
    assert memory.look(65.0, rng) is True
    assert memory.heap.internal == LEAST
    memory.set_leak(0.0, 66.0)
    assert memory.look(66.0, rng) is False
    assert memory.heap.internal > 100_000
