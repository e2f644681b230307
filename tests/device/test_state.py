from softaxe import Device
from softaxe.device.state import DeviceState


def test_reading_changes_nothing() -> None:
    device = Device(seed=1)
    device.step(30.0)
    device.events()
    device.log.take()
    before = device.revision, device.next_wake
    names = [n for n, row in vars(DeviceState).items() if isinstance(row, property)]

    first = [getattr(device, name) for name in names]

    assert [getattr(device, name) for name in names] == first
    assert (device.revision, device.next_wake) == before
    assert device.events() == []
    assert device.log.take() == []


def test_a_device_that_has_just_been_switched_on_tells_of_nothing_yet() -> None:
    device = Device(seed=1)

    assert (device.ipv4, device.ipv6) == ("", "")
    assert device.asics == []
    assert device.error_percentage == 0.0
    assert not device.is_on_network
    assert device.uptime_s == 0.0
