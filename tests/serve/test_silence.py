import socket
import sys

import pytest

from softaxe.serve.silence import deafen, undeafen


class Unable:
    """A socket of a system that has no such filters."""

    def setsockopt(self, _level: int, _option: int, _value: int | bytes, /) -> None:
        raise OSError("Protocol not available")


@pytest.mark.skipif(sys.platform != "linux", reason="other systems have no filter")
def test_a_deaf_port_takes_nobody_and_a_deaf_connection_hears_nothing() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        address = server.getsockname()
        with socket.create_connection(address) as client, server.accept()[0] as taken:
            taken.settimeout(0.1)
            for sock in server, taken:
                assert deafen(sock)

            with pytest.raises(TimeoutError):
                socket.create_connection(address, timeout=0.1)
            client.sendall(b"hello")
            with pytest.raises(TimeoutError):
                taken.recv(5)

            for sock in server, taken:
                undeafen(sock)
            socket.create_connection(address, timeout=5).close()
            taken.settimeout(5)
            assert taken.recv(5) == b"hello"  # which TCP has sent again


def test_a_system_that_cannot_says_so() -> None:
    assert not deafen(Unable())
