from softaxe.asic.chip import SOUND, Defects
from softaxe.device.faults import NO_FAULTS, DeviceFaults


def test_each_chip_has_its_own_defects() -> None:
    faults = DeviceFaults(
        dead_domains=frozenset({(1, 2), (1, 4), (3, 1)}), unstable={3: (0.04, 0.5)}
    )

    assert faults.defects(1) == Defects(frozenset({1, 3}))
    assert faults.defects(2) == SOUND == NO_FAULTS.defects(1)
    assert faults.defects(3) == Defects(frozenset({0}), errors=0.04, loss=0.5)
