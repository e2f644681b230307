"""The 16 MiB flash: its partitions, and what lies in them.

Only the table of contents is here; the images themselves are files named by their
SHA-256 (softaxe.serve.storage). Source: ESP-Miner partitions.csv.
"""

import re
from collections.abc import Mapping
from dataclasses import asdict

from msgspec import Struct
from msgspec.structs import replace

from softaxe.catalog.firmware import DEFAULT_VERSION, is_known, nearest
from softaxe.errors import SettingError
from softaxe.flash.image import AppImage, release_image

SHIPPED_VERSION = f"v{DEFAULT_VERSION}"
"""Of the firmware and page that a new device has, unless told otherwise."""
FACTORY = "factory"
OTA_SLOTS = ("ota_0", "ota_1")
APP_SLOTS = (FACTORY, *OTA_SLOTS)


class Partition(Struct, frozen=True):
    """A row of the partition table."""

    name: str
    kind: str
    offset: int
    size: int


PARTITIONS = (
    Partition("nvs", "data/nvs", 0x9000, 0x6000),
    Partition("phy_init", "data/phy", 0xF000, 0x1000),
    Partition(FACTORY, "app/factory", 0x10000, 0x400000),
    Partition("www", "data/spiffs", 0x410000, 0x300000),
    Partition("ota_0", "app/ota_0", 0x710000, 0x400000),
    Partition("ota_1", "app/ota_1", 0xB10000, 0x400000),
    Partition("otadata", "data/ota", 0xF10000, 0x2000),
    Partition("coredump", "data/coredump", 0xF12000, 0x10000),
)
WWW_BYTES = 0x300000
_SLOT_BYTES = 0x400000
_NO_UNICODE = re.compile("[\ud800-\udfff]")
"""What is left of bytes that are no text."""


class Slot(Struct, frozen=True):
    """What lies in a slot for updates."""

    image: AppImage
    boots: bool = True
    """False: the image is known to fail at boot, and the boot loader goes back."""


class Flash:
    """The table of contents.

    Args:
        running: Label of the slot whose firmware runs.
        boot: Label of the slot to boot from next.
        slots: Contents of the OTA slots, by label.
        www_sha256: Of the www image; None when the shipped page is in place.
        factory_version: Of the firmware in the factory slot, and of the shipped page.
    """

    def __init__(
        self,
        *,
        running: str = FACTORY,
        boot: str = FACTORY,
        slots: Mapping[str, Slot] | None = None,
        www_sha256: str | None = None,
        factory_version: str = SHIPPED_VERSION,
    ) -> None:
        self.running = running
        self.boot_label = boot
        self.slots = dict(slots or {})
        self.www_sha256 = www_sha256
        self.factory_version = factory_version

    @property
    def next_update_slot(self) -> str:
        """Where the next firmware goes."""
        first, second = OTA_SLOTS
        return second if self.running == first else first

    @property
    def ships_page(self) -> bool:
        """The www partition came with a page; later releases have theirs inside."""
        return not nearest(self.factory_version).rows.embeds_page

    def image(self, label: str) -> AppImage | None:
        """Return what an application slot holds; None for one that is empty."""
        if label == FACTORY:
            return release_image(self.factory_version)
        slot = self.slots.get(label)
        return None if slot is None else slot.image

    @property
    def running_image(self) -> AppImage:
        """The running firmware."""
        image = self.image(self.running)
        assert image is not None
        return image

    def flash_factory(self, version: str, *, is_anew: bool = False) -> bool:
        """Put a release's firmware and page where a new device has them, by USB.

        Args:
            version: Of the release.
            is_anew: Also when it has been there already.

        Returns:
            False when they have been there already: then all stays.
        """
        is_new = is_anew or version != self.factory_version
        if is_new:
            self.factory_version = version
            self.running = self.boot_label = FACTORY
            self.slots.clear()
            self.www_sha256 = None
        return is_new

    def install(self, image: AppImage) -> str:
        """Put an image into the next slot and boot from it next; return the label."""
        label = self.next_update_slot
        self.slots[label] = Slot(image)
        self.boot_label = label
        return label

    def install_www(self, sha256: str) -> None:
        """Put a www image into its partition."""
        self.www_sha256 = sha256

    def fail_at_boot(self, label: str) -> None:
        """Mark a slot's image as one that does not come up."""
        self.slots[label] = replace(self.slots[label], boots=False)

    def boot(self) -> str:
        """Start the chosen slot, or stay with the old one when it fails."""
        slot = self.slots.get(self.boot_label)
        is_good = self.boot_label == FACTORY or (slot is not None and slot.boots)
        if is_good:
            self.running = self.boot_label
        else:
            self.boot_label = self.running
        return self.running

    def images(self) -> set[str]:
        """SHA-256 of every image in use."""
        used = {slot.image.sha256 for slot in self.slots.values()}
        return used | ({self.www_sha256} if self.www_sha256 else set())

    def to_rows(self) -> dict[str, str | int]:
        """The table as rows for storage."""
        rows: dict[str, str | int] = {
            "running": self.running,
            "boot": self.boot_label,
            "www_sha256": self.www_sha256 or "",
            "factory.version": self.factory_version,
        }
        for label, slot in self.slots.items():
            for name, value in asdict(slot.image).items():
                rows[f"{label}.{name}"] = value
            rows[f"{label}.boots"] = int(slot.boots)
        return rows

    @classmethod
    def from_rows(cls, rows: Mapping[str, object]) -> "Flash":
        """Read the rows of `to_rows`; no rows are a new device.

        Raises:
            SettingError: Something is in them that no flash has; says what.
        """
        flash, complaints = cls.sift(rows)
        if complaints:
            raise SettingError("; ".join(complaints))
        return flash

    @classmethod
    def sift(cls, rows: Mapping[str, object]) -> tuple["Flash", list[str]]:
        """Read rows of which some may be wrong, as after a disk fault.

        Returns:
            A flash that is empty where they are, and a complaint about each place.
        """
        slots, complaints = {}, []
        for label in OTA_SLOTS:
            prefix = f"{label}."
            found = {
                key.removeprefix(prefix): value
                for key, value in rows.items()
                if key.startswith(prefix)
            }
            slot = _slot(found)
            if slot is not None:
                slots[label] = slot
            elif found:
                complaints.append(f"{label}: no image is described by its rows")
        labels = {}
        for name in "running", "boot":
            chosen = rows.get(name, FACTORY)
            if chosen not in (FACTORY, *slots):
                complaints.append(f"{name}: nothing to run is in {chosen!r}")
                chosen = FACTORY
            labels[name] = str(chosen)
        www_sha256 = rows.get("www_sha256") or None
        if www_sha256 is not None and not _is_sha256(www_sha256):
            complaints.append(f"www_sha256: {www_sha256!r} names no image")
            www_sha256 = None
        shipped = rows.get("factory.version", SHIPPED_VERSION)
        if not isinstance(shipped, str) or not is_known(shipped):
            complaints.append(f"factory.version: {shipped!r} is no known release")
            shipped = SHIPPED_VERSION
        flash = cls(
            running=labels["running"],
            boot=labels["boot"],
            slots=slots,
            www_sha256=None if www_sha256 is None else str(www_sha256),
            factory_version=shipped,
        )
        return flash, complaints


def _slot(rows: Mapping[str, object]) -> Slot | None:
    # A folder may be from before it was kept when an image was compiled.
    match {"compile_date": "", "compile_time": "", **rows}:
        case {
            "sha256": str(sha256),
            "size": int(size),
            "version": str(version),
            "project_name": str(project_name),
            "idf_version": str(idf_version),
            "compile_date": str(compile_date),
            "compile_time": str(compile_time),
            "boots": (0 | 1) as boots,
        } if _is_sha256(sha256) and 0 < size <= _SLOT_BYTES:
            texts = version, project_name, idf_version, compile_date, compile_time
            if not any(_NO_UNICODE.search(text) for text in texts):
                return Slot(AppImage(*texts, size, sha256), bool(boots))
    return None


def _is_sha256(value: object) -> bool:
    return isinstance(value, str) and re.fullmatch("[0-9a-f]{64}", value) is not None
