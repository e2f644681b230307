"""The dashboard's tests. All they need is `pip install softaxe pytest`."""

from dashboard import read, summary


def test_it_reads_a_miner(bitaxe):
    miner = read(bitaxe.url)

    assert miner.hashrate_ghs > 500
    assert miner.problem == ""
    assert bitaxe.journal[-1].path == "/api/system/info"


def test_it_adds_up_every_kind_of_bitaxe(bitaxe_fleet):
    miners = [read(device.url) for device in bitaxe_fleet]

    text = summary(miners)

    assert len(text.splitlines()) == len(bitaxe_fleet) + 1
    assert all(miner.problem == "" for miner in miners)


def test_it_sees_a_miner_overheat(bitaxe):
    bitaxe.faults.add("fan_dead")
    bitaxe.clock.advance(600)

    assert read(bitaxe.url).problem == "overheated"


def test_it_sees_the_fallback_pool(bitaxe):
    bitaxe.faults.add("pool_down", which="primary")
    bitaxe.clock.advance(120)

    assert read(bitaxe.url).problem == "on the fallback pool"


def test_it_survives_what_networks_do(bitaxe):
    for effect, told in [
        ("truncated_json", "answers nonsense"),
        ("reset", "does not answer"),
        ("timeout", "does not answer"),
        ("status", "answers nonsense"),
    ]:
        fault = bitaxe.faults.add(effect)
        assert read(bitaxe.url).problem.startswith(told.split()[0])
        bitaxe.faults.remove(fault)

    assert read(bitaxe.url).problem == ""
