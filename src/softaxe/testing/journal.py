"""What clients asked the devices of a test, and what they should have asked."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from softaxe.description import read
from softaxe.expected import ANY, Requested, RequestLike, Tally
from softaxe.json_values import JsonValue
from softaxe.serve.journal import Entry


class RunningJournal(list[Entry]):
    """Requests up to the moment when it was asked for, oldest first.

    Args:
        entries: Of the devices that are meant.
        devices: Tells the ids of these.
        forget: Forgets all requests.
    """

    def __init__(
        self,
        entries: Iterable[Entry],
        devices: Callable[[], list[str]],
        forget: Callable[[], None],
    ) -> None:
        super().__init__(entries)
        self._devices = devices
        self._forget = forget

    def find(
        self,
        *,
        method: str | None = None,
        path: str | None = None,
        status: int | None = None,
        body: Mapping[str, JsonValue] | None = None,
    ) -> list[Entry]:
        """Return the requests that are like this; what is left out may be anything.

        Args:
            method: Of HTTP.
            path: A pattern, as `/api/system*`.
            status: Of the answer; 0 for none.
            body: Members of the JSON that was sent, as `{"frequency": 500}` or
                `{"frequency": {"below": 500}}`.

        Raises:
            SettingError: A value is not allowed.
        """
        asked = _given(method=method, path=path, status=status, body=body)
        wanted: RequestLike = read(RequestLike, asked)
        return [entry for entry in self if wanted.is_met_by(entry)]

    def assert_requested(
        self,
        *,
        method: str | None = None,
        path: str | None = None,
        status: int | None = None,
        body: Mapping[str, JsonValue] | None = None,
        times: int | None = None,
        at_least: int | None = None,
        at_most: int | None = None,
        after: Mapping[str, Any] | None = None,
        device: str = ANY,
    ) -> None:
        """Fail unless such a request was made; the failure tells which were nearly so.

        Args:
            method: As in `find`, as are the next three.
            path: See there.
            status: See there.
            body: See there.
            times: So often; 0 for never.
            at_least: So often or more; once when no number is given.
            at_most: So often or less.
            after: Only after a request like this, as `{"method": "PATCH"}`.
            device: A pattern of ids, or `all`: each of these by itself; `any` counts
                those of all devices together.

        Raises:
            AssertionError: It was not.
            SettingError: A value is not allowed.
        """
        __tracebackhide__ = True
        wanted: Requested = read(
            Requested,
            _given(
                method=method,
                path=path,
                status=status,
                body=body,
                exactly=times,
                at_least=at_least,
                at_most=at_most,
                after=after,
                device=device,
            ),
        )
        tally = Tally(wanted, since=0, since_s=0.0)
        for entry in self:
            tally.see(entry)
        devices = self._devices()
        if not tally.verdict(0.0, devices):
            raise AssertionError(
                f"expected: {wanted.in_words()}; found: {tally.found(devices)}"
            )

    def clear(self) -> None:
        """Forget all requests, those to other devices too."""
        super().clear()
        self._forget()


def _given(**members: Any) -> dict[str, Any]:
    return {name: value for name, value in members.items() if value is not None}
