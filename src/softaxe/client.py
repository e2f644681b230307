"""A client of the AxeOS API, for softaxe's own commands; any Bitaxe will do."""

import http.client
import json
import socket
import time
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from softaxe.errors import BadResponse, DeviceTimeout, DeviceUnreachable, SettingError

TIMEOUT_S = 10.0
WHOLE_ANSWER_S = 30.0
"""From the question on; a device needs a second."""
MAX_BODY_BYTES = 4 << 20
"""Longer answers are refused; the longest real one, 720 samples, is a tenth."""


@dataclass(frozen=True, slots=True)
class Reply:
    """One answer."""

    status: int
    headers: dict[str, str]
    """Names in lower case; the last of equal ones."""
    body: bytes

    def json(self) -> Any:
        """Decode the body.

        Raises:
            BadResponse: It is no JSON.
        """
        try:
            return json.loads(self.body)
        except (ValueError, RecursionError) as error:
            raise BadResponse(f"the answer is no JSON: {error}") from error


class Client:
    """Talks to one device; every call opens a connection of its own.

    Args:
        url: `http://HOST[:PORT]`, or the host alone.
        timeout_s: For connecting and for every read; a whole answer has its own limit.

    Raises:
        SettingError: The address is none.
    """

    def __init__(self, url: str, *, timeout_s: float = TIMEOUT_S) -> None:
        parts = urlsplit(url if "://" in url else f"http://{url}")
        try:
            port = parts.port or 80
        except ValueError as error:
            raise SettingError(f"{url}: {error}") from error
        if parts.scheme != "http" or not parts.hostname:
            raise SettingError(f"{url}: write http://HOST or http://HOST:PORT")
        self.url = f"http://{parts.netloc}"
        self._host, self._port = parts.hostname, port
        self._timeout_s = timeout_s

    def request(
        self,
        method: str,
        path: str,
        *,
        body: bytes | None = None,
        headers: dict[str, str] | None = None,
    ) -> Reply:
        """Send one request.

        Raises:
            DeviceUnreachable: Nobody takes the connection.
            DeviceTimeout: It takes too long.
            BadResponse: There was no whole answer.
        """
        about = f"{method} {self.url}{path}"
        connection = http.client.HTTPConnection(self._host, self._port)
        try:
            connection.sock = _connected(self._host, self._port, self._timeout_s)
            connection.request(method, path, body, headers or {})
            answer = connection.getresponse()
            data = answer.read(MAX_BODY_BYTES + 1)
        except TimeoutError as error:
            raise DeviceTimeout(
                f"{about}: nothing in {self._timeout_s:g} s, or no whole answer in "
                f"{WHOLE_ANSWER_S:g} s"
            ) from error
        except http.client.HTTPException as error:
            raise BadResponse(f"{about}: {error!r}") from error
        except OSError as error:
            raise DeviceUnreachable(f"{about}: {error}") from error
        finally:
            connection.close()
        if len(data) > MAX_BODY_BYTES:
            raise BadResponse(f"{about}: over {MAX_BODY_BYTES} bytes")
        named = {name.lower(): value for name, value in answer.getheaders()}
        return Reply(answer.status, named, data)

    def get_json(self, path: str) -> Any:
        """GET a JSON answer.

        Raises:
            DeviceError: It did not come, was no 200 or no JSON.
        """
        reply = self.request("GET", path)
        if reply.status != 200:
            raise BadResponse(f"GET {self.url}{path}: status {reply.status}")
        return reply.json()


class _PatientSocket(socket.socket):
    """Waits so long for bytes, and no longer than until the whole answer is due."""

    patience_s: float
    due: float

    def recv_into(self, *args: Any, **kwargs: Any) -> int:
        """Receive, as `socket.recv_into`.

        Raises:
            TimeoutError: It takes too long.
        """
        left_s = self.due - time.monotonic()
        if left_s <= 0:
            raise TimeoutError("the whole answer takes too long")
        self.settimeout(min(left_s, self.patience_s))
        return super().recv_into(*args, **kwargs)


def _connected(host: str, port: int, timeout_s: float) -> _PatientSocket:
    found = socket.create_connection((host, port), timeout_s)
    patient = _PatientSocket(fileno=found.detach())
    patient.settimeout(timeout_s)
    patient.patience_s = timeout_s
    patient.due = time.monotonic() + WHOLE_ANSWER_S
    return patient
