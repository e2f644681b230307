"""The 16 MiB flash: its partitions, and what lies in them.

Only the table of contents is here; the images themselves are files named by their
SHA-256 (softaxe.serve.storage). Source: ESP-Miner partitions.csv.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace

from softaxe.flash.image import AppImage

SHIPPED_VERSION = "v2.12.2"
"""Of the firmware and page that a new device has."""
SHIPPED_IDF_VERSION = "v5.5.1"
FACTORY = "factory"
OTA_SLOTS = ("ota_0", "ota_1")


@dataclass(frozen=True, slots=True)
class Partition:
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


@dataclass(frozen=True, slots=True)
class Slot:
    """What lies in an application slot."""

    sha256: str
    size: int
    version: str
    project_name: str
    idf_version: str
    boots: bool = True
    """False: the image is known to fail at boot, and the boot loader goes back."""


class Flash:
    """The table of contents.

    Args:
        running: Label of the slot whose firmware runs.
        boot: Label of the slot to boot from next.
        slots: Contents of the OTA slots, by label.
        www_sha256: Of the www image; None when the shipped page is in place.
    """

    def __init__(
        self,
        *,
        running: str = FACTORY,
        boot: str = FACTORY,
        slots: Mapping[str, Slot] | None = None,
        www_sha256: str | None = None,
    ) -> None:
        self.running = running
        self.boot_label = boot
        self.slots = dict(slots or {})
        self.www_sha256 = www_sha256

    @property
    def next_update_slot(self) -> str:
        """Where the next firmware goes."""
        first, second = OTA_SLOTS
        return second if self.running == first else first

    @property
    def running_version(self) -> str:
        """Version of the running firmware."""
        slot = self.slots.get(self.running)
        return SHIPPED_VERSION if slot is None else slot.version

    @property
    def running_idf_version(self) -> str:
        """ESP-IDF version of the running firmware."""
        slot = self.slots.get(self.running)
        return SHIPPED_IDF_VERSION if slot is None else slot.idf_version

    def install(self, image: AppImage) -> str:
        """Put an image into the next slot and boot from it next; return the label."""
        label = self.next_update_slot
        self.slots[label] = Slot(
            image.sha256,
            image.size,
            image.version,
            image.project_name,
            image.idf_version,
        )
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
        used = {slot.sha256 for slot in self.slots.values()}
        return used | ({self.www_sha256} if self.www_sha256 else set())

    def to_rows(self) -> dict[str, str | int]:
        """The table as rows for storage."""
        rows: dict[str, str | int] = {
            "running": self.running,
            "boot": self.boot_label,
            "www_sha256": self.www_sha256 or "",
        }
        for label, slot in self.slots.items():
            rows[f"{label}.sha256"] = slot.sha256
            rows[f"{label}.size"] = slot.size
            rows[f"{label}.version"] = slot.version
            rows[f"{label}.project_name"] = slot.project_name
            rows[f"{label}.idf_version"] = slot.idf_version
            rows[f"{label}.boots"] = int(slot.boots)
        return rows

    @classmethod
    def from_rows(cls, rows: Mapping[str, str | int]) -> "Flash":
        """Read the rows of `to_rows`; no rows are a new device."""
        slots = {
            label: Slot(
                str(rows[f"{label}.sha256"]),
                int(rows[f"{label}.size"]),
                str(rows[f"{label}.version"]),
                str(rows[f"{label}.project_name"]),
                str(rows[f"{label}.idf_version"]),
                bool(rows[f"{label}.boots"]),
            )
            for label in OTA_SLOTS
            if f"{label}.sha256" in rows
        }
        return cls(
            running=str(rows.get("running", FACTORY)),
            boot=str(rows.get("boot", FACTORY)),
            slots=slots,
            www_sha256=str(rows.get("www_sha256", "")) or None,
        )
