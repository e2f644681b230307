"""The moments that the screen's pictures depend on.

Nothing here runs by itself: the page that is due is worked out when somebody looks, so
a screen costs nothing while nobody does. Source of times and order: ESP-Miner screen.c.
"""

from enum import Enum, auto

from msgspec import Struct

from softaxe.catalog.firmware.rows import Rows
from softaxe.device.settings import Settings
from softaxe.units import NEVER

TICK_S = 0.5
"""The screen is drawn anew this often; pages last a tick longer than meant."""
SETTLED_S = 1.0
"""How long the Wi-Fi page stays when its text no longer changes."""
MINUTE_S = 60.0
WOKEN_S = 5.0
"""How long a screen that is off shows pages after a press, where it does."""
OLD_WIFI_S = 5.0
"""Of the Wi-Fi page where only some panels have it."""
FOUR_LINES = "SSD1306 (128x32)"


class Page(Enum):
    """Pages that follow each other while nothing else is to be shown."""

    BITAXE = auto()
    OSMU = auto()
    URLS = auto()
    STATS = auto()
    MINING = auto()
    WIFI = auto()


PAGE_S = {
    Page.BITAXE: 3.0,
    Page.OSMU: 3.0,
    Page.URLS: 10.0,
    Page.STATS: 10.0,
    Page.MINING: 10.0,
    Page.WIFI: 10.0,
}
AFTER = {
    Page.BITAXE: Page.OSMU,
    Page.OSMU: Page.URLS,
    Page.URLS: Page.STATS,
    Page.STATS: Page.MINING,
    Page.MINING: Page.WIFI,
    Page.WIFI: Page.URLS,
}


class Mark(Enum):
    """What a corner of the screen tells for a tick."""

    ACCEPTED = auto()
    REJECTED = auto()
    WORK = auto()


class Turn(Struct, frozen=True):
    """A page and since when it is shown."""

    page: Page
    since: float
    before: Page | None
    """The page that it pushed aside."""


class Display:
    """Pages, marks and the last sign of a user.

    Args:
        settings: As they are at boot; the panel is set up only then.
        now: When that is.
        rows: Of the release.
    """

    def __init__(self, settings: Settings, now: float, rows: Rows) -> None:
        self.panel_name = settings.display
        self._page_s, self._after = PAGE_S, AFTER
        if not rows.has_mining_page:
            self._page_s = {**PAGE_S, Page.WIFI: OLD_WIFI_S}
            has_wifi = self.panel_name != FOUR_LINES
            after = Page.WIFI if has_wifi else Page.URLS
            self._after = {**AFTER, Page.STATS: after}
        self._woken_s = WOKEN_S if rows.dark_screen_wakes else 0.0
        self.rotation_degrees = settings.rotation_degrees
        if not settings.is_screen_flipped:  # as it is not built in
            self.rotation_degrees = 180
        self.is_inverted = settings.is_screen_inverted
        self._installing: tuple[str, str, float] = ("", "", -NEVER)
        self._wifi_until = -NEVER
        self.active_at = now
        """The last button press, or the last time another page than one of those that
        turn was shown."""
        self._turn = Turn(Page.BITAXE, NEVER, None)
        self._marks: dict[Mark, float] = {}

    @property
    def pages(self) -> tuple[Page, ...]:
        """All pages, in the order in which they follow each other."""
        pages = [Page.BITAXE]
        while (after := self._after[pages[-1]]) not in pages:
            pages.append(after)
        return tuple(pages)

    @property
    def has_start(self) -> bool:
        """True once it is known when the pages begin to turn."""
        return self._turn.since != NEVER

    def is_turning(self, now: float) -> bool:
        """True once the pages turn."""
        return self._turn.since <= now

    def start(self, now: float) -> None:
        """Let the pages turn from `now` on."""
        self._turn = Turn(Page.BITAXE, now, None)
        self.wake(now)

    def wake(self, now: float) -> None:
        """Count the time without activity from `now`."""
        self.active_at = max(self.active_at, now)

    def show_wifi(self, now: float) -> None:
        """Tell of the Wi-Fi's new state: for a tick, once the pages turn."""
        self._wifi_until = now + TICK_S
        self.wake(now)

    def is_showing_wifi(self, now: float) -> bool:
        """True before the pages turn, and when the Wi-Fi's state has just changed."""
        return not self.is_turning(now) or now < self._wifi_until

    def turn(self, now: float) -> Turn:
        """Return the page that is due."""
        while now - self._turn.since >= (shown_s := self._shown_s(self._turn.page)):
            page = self._turn.page
            self._turn = Turn(self._after[page], self._turn.since + shown_s, page)
        return self._turn

    def press(self, now: float) -> None:
        """Take a short press: the next page, at once."""
        self.wake(now)
        if self.is_turning(now):
            page = self.turn(now).page
            self._turn = Turn(self._after[page], now, page)

    def install(self, name: str, progress: str, until: float) -> None:
        """Show how far the installation of an image is."""
        self._installing = name, progress, until
        self.wake(until)

    def installing(self, now: float) -> tuple[str, str] | None:
        """Name of the image that is being installed, and how far that is."""
        name, progress, until = self._installing
        return (name, progress) if now < until else None

    def note(self, mark: Mark, now: float) -> None:
        """Something happened that a corner of the screen tells."""
        self._marks[mark] = now

    def marks(self, now: float) -> set[Mark]:
        """What the corner tells now."""
        return {mark for mark, at in self._marks.items() if 0 <= now - at < TICK_S}

    def is_dark(self, timeout_min: int, now: float) -> bool:
        """Whether so many minutes without activity are over; -1 is for ever."""
        shown_s = timeout_min * MINUTE_S or self._woken_s
        return timeout_min >= 0 and now - self.active_at >= shown_s

    def _shown_s(self, page: Page) -> float:
        return self._page_s[page] + TICK_S
