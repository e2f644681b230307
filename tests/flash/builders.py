"""Builds images from the documented layouts, independently of the readers."""

import hashlib
import struct


def app_image(
    *,
    version: str = "v2.13.0",
    project: str = "esp-miner",
    idf: str = "v5.5.1",
    segments: tuple[int, ...] = (1024, 2048),
    chip_id: int = 9,
    has_digest: bool = True,
) -> bytes:
    """An ESP32-S3 application image with segments of the given sizes."""
    header = struct.pack(
        "<BBBBIB3sHBHH4sB",
        0xE9,
        len(segments),
        2,
        0x4F,
        0x40375C2C,
        0xEE,
        b"\0\0\0",
        chip_id,
        0,
        0,
        99,
        bytes(4),
        int(has_digest),
    )
    descriptor = struct.pack(
        "<II8s32s32s16s16s32s32s80s",
        0xABCD5432,
        0,
        b"",
        version.encode(),
        project.encode(),
        b"12:34:56",
        b"Jan  6 2026",
        idf.encode(),
        bytes(32),
        bytes(80),
    )
    image = bytearray(header)
    checksum = 0xEF
    for number, size in enumerate(segments):
        data = bytes((number * 31 + i * 7) & 0xFF for i in range(size))
        if number == 0:
            data = (descriptor + data)[: max(size, 0)]
        image += struct.pack("<II", 0x3C000000 + number * 0x10000, len(data)) + data
        for byte in data:
            checksum ^= byte
    while len(image) % 16 != 15:
        image.append(0)
    image.append(checksum)
    if has_digest:
        image += hashlib.sha256(image).digest()
    return bytes(image)


PAGE, BLOCK, SIZE = 256, 4096, 0x300000


def spiffs_image(files: dict[str, bytes]) -> bytes:
    """A SPIFFS image of the www partition, as mkspiffs lays it out."""
    pages: list[tuple[int, bytes]] = []  # object id as in the look-up, page bytes

    def used_pages(block: int) -> range:
        return range(block * 16 + 1, block * 16 + 16)

    numbers = [n for block in range(SIZE // BLOCK) for n in used_pages(block)]
    for object_id, (name, content) in enumerate(files.items(), start=1):
        index_at = len(pages)
        data_count = -(-len(content) // 251)
        first_room = (PAGE - 82) // 2
        room = (PAGE - 8) // 2
        extra = max(0, -(-(data_count - first_room) // room))
        index_count = 1 + extra
        pages += [(0, b"")] * index_count
        table = []
        for span in range(data_count):
            chunk = content[span * 251 : span * 251 + 251]
            table.append(numbers[len(pages)])
            body = struct.pack("<HHB", object_id, span, 0xFC) + chunk
            pages.append((object_id, body.ljust(PAGE, b"\xff")))
        for span in range(index_count):
            index_id = object_id | 0x8000
            page = struct.pack("<HHB", index_id, span, 0xF8) + b"\xff\xff\xff"
            part = table[first_room + (span - 1) * room : first_room + span * room]
            if span == 0:
                page += struct.pack("<IB", len(content), 1)
                page += name.encode().ljust(64, b"\0") + bytes(4) + b"\xff"
                part = table[:first_room]
            page += b"".join(struct.pack("<H", number) for number in part)
            pages[index_at + span] = (index_id, page.ljust(PAGE, b"\xff"))
    image = bytearray(b"\xff" * SIZE)
    for number, (object_id, page) in zip(numbers, pages, strict=False):
        image[number * PAGE : number * PAGE + PAGE] = page
        lookup = number // 16 * BLOCK + (number % 16 - 1) * 2
        image[lookup : lookup + 2] = struct.pack("<H", object_id)
    blocks = SIZE // BLOCK
    for block in range(blocks):
        magic = (0x20140529 ^ PAGE ^ (blocks - block)) & 0xFFFF
        at = block * BLOCK + PAGE - 4
        image[at : at + 4] = struct.pack("<HH", magic, 0xFFFF)
    return bytes(image)
