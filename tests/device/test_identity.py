from softaxe import Device


def test_addresses_differ_by_seed_and_are_stable() -> None:
    macs = {Device(seed=seed).identity.mac_text for seed in range(50)}

    assert len(macs) == 50
    assert Device(seed=7).identity == Device(seed=7).identity
    assert all(mac.startswith("10:F5:12:") for mac in macs)


def test_there_is_no_address_before_the_network() -> None:
    device = Device()
    device.step(1.0)

    assert device.ipv4 == ""
    assert device.ipv6 == ""
