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


def spiffs_image(
    files: dict[str, bytes],
    *,
    size: int = 0x300000,
    block: int = 4096,
    name_length: int = 64,
    meta_length: int = 4,
) -> bytes:
    """A SPIFFS image with pages of 256 bytes, laid out as ESP-IDF's spiffsgen.py does.

    The list of page numbers follows the meta bytes at once, thus at an odd offset.
    """
    page_size = 256
    per_block = block // page_size
    lookup_pages = max(1, per_block * 2 // page_size)
    usable = [
        number
        for number in range(size // page_size)
        if number % per_block >= lookup_pages
    ]
    written: list[tuple[int, bytes]] = []  # id in the look-up page, page

    for object_id, (name, content) in enumerate(files.items(), start=1):
        index_id = object_id | 0x8000
        head = struct.pack("<IB", len(content), 1)
        head += name.encode().ljust(name_length, b"\0") + bytes(meta_length)
        chunks = [content[at : at + 251] for at in range(0, len(content), 251)]
        index_span = data_span = 0
        while index_span == 0 or data_span < len(chunks):
            index = struct.pack("<HHB3s", index_id, index_span, 0xF8, b"\xff" * 3)
            index += head if index_span == 0 else b""
            index_place = len(written)
            written.append((index_id, b""))
            for chunk in chunks[data_span:][: (page_size - len(index)) // 2]:
                index += struct.pack("<H", usable[len(written)])
                data = struct.pack("<HHB", object_id, data_span, 0xFC) + chunk
                written.append((object_id, data))
                data_span += 1
            written[index_place] = (index_id, index)
            index_span += 1

    image = bytearray(b"\xff" * size)
    for number, (object_id, page) in zip(usable, written, strict=False):
        image[number * page_size : number * page_size + len(page)] = page
        entry_at = number // per_block * block
        entry_at += (number % per_block - lookup_pages) * 2
        image[entry_at : entry_at + 2] = struct.pack("<H", object_id)
    for number in range(size // block):
        magic = (0x20140529 ^ page_size ^ (size // block - number)) & 0xFFFF
        at = number * block + lookup_pages * page_size - 4
        image[at : at + 2] = struct.pack("<H", magic)
    return bytes(image)
