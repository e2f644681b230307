"""What a pool says to a device."""

from softaxe.device.device import Device
from softaxe.device.events import ConnectPool
from softaxe.stratum.messages import MAX_LINE_BYTES

HASH = b'"' + b"0f" * 32 + b'"'
COINBASE1 = b'"' + b"01000000" + b"01" + b"00" * 32 + b"ffffffff" + b'1e03a9d90b00"'
JOB = (
    b'"6f", %(hash)b, %(coinbase1)b, "ffffffff0100", [%(hash)b], "20000000", '
    b'"1d00ffff", "695fdb00", true' % {b"hash": HASH, b"coinbase1": COINBASE1}
)
CORPUS = [
    b'{"id":1,"result":{"version-rolling":true,'
    b'"version-rolling.mask":"1fffe000"},"error":null}\n'
    b'{"id":2,"result":[[["mining.notify","1"]],"81000001",8],"error":null}\n'
    b'{"id":3,"result":true,"error":null}\n',
    b'{"id":null,"method":"mining.set_difficulty","params":[1e-7]}\n'
    b'{"id":null,"method":"mining.notify","params":[' + JOB + b"]}\n",
    b'{"id":null,"method":"mining.set_extranonce","params":["0f0f",4]}\n'
    b'{"id":null,"method":"mining.set_version_mask","params":["1fffe000"]}\n'
    b'{"id":null,"method":"mining.notify","params":[' + JOB + b"]}\n",
    b'{"id":7,"result":null,"error":[23,"Low difficulty",null]}\n'
    b'{"id":5,"result":false,"reject-reason":"Stale"}\n',
    b'{"id":8,"method":"mining.ping"}\n{"id":9,"method":"client.get_version"}\n'
    b'{"id":null,"method":"client.show_message","params":["hello"]}\n'
    b'{"id":7,"error":{"code":2,"message":"no"}}\n{"id":9,"error":"no","result":0}\n',
    b'{"id":9,"method":"client.reconnect","params":[]}\n\n{}\n[]\n',
    b'{"Id":2,"result":{"a":0,"b":"f1g","c":"4"}} and {"id":2}\n'
    b'{"method":"mining.set_difficulty","params":["-0x8"]}\n'
    b'{"method":"mining.set_extranonce","params":["abc",4.5e0]}\n'
    b'{"method":"mining.set_version_mask","params":["\t-0X1fffe000zz"]}\n',
]
VERSIONS = ("2.8.1", "2.12.2", "2.13.2", "2.15.0")
RUNS = 20
WALK_S = 3.0


def one_input(data: bytes) -> None:
    version = VERSIONS[len(data) % len(VERSIONS)]
    device = Device(board="601", seed=1, firmware=version)
    now = 0.0
    while not any(isinstance(event, ConnectPool) for event in device.events()):
        now += 0.5
        device.step(now)
    device.pool_connected(now, is_own_pool=True)
    at = len(data) // 2
    for piece in (data[:at], data[at:] + b"\n", CORPUS[1]):
        device.pool_received(piece, now)
        now += WALK_S / 3
        device.step(now)
        device.data_to_pool()
        device.events()
    for line in device.log.take():
        assert len(line.text) < 2 * MAX_LINE_BYTES
        assert "\n" not in line.text
