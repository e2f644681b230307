/** What an image says of itself, read before it is sent.
 *
 * Source of the layouts: ESP-IDF esp_app_format.h, and the public SPIFFS format as ESP-IDF configures it.
 */

import { update as texts } from "$texts";

export interface Image {
  kind: "firmware" | "page" | "unknown";
  /** Empty where it does not tell. */
  version: string;
  project: string;
  compiled: string;
  idf: string;
  /** Why the device will not take it, in words; empty when nothing is seen. */
  trouble: string;
}

const SLOT_BYTES = 4 << 20;
const MAGIC = 0xe9;
const ESP32_S3 = 9;
const MOST_SEGMENTS = 16;
const HEADER_BYTES = 24;
const SEGMENT_HEAD_BYTES = 8;
const DESCRIPTION_AT = HEADER_BYTES + SEGMENT_HEAD_BYTES;
const DESCRIPTION_MAGIC = 0xabcd5432;
const CHECKSUM_START = 0xef;
const ROW_BYTES = 16;
const DIGEST_BYTES = 32;

const PAGE_IMAGE_BYTES = 3 << 20;
const SPIFFS_MAGIC = 0x20140529;
const [PAGE_BYTES, BLOCK_BYTES] = [256, 4096];
const BLOCKS = PAGE_IMAGE_BYTES / BLOCK_BYTES;
/** In each block, of the mark that it is one. */
const MARK_AT = PAGE_BYTES - 4;
const INDEX_BIT = 0x8000;
/** In the first index page of a file. */
const [SIZE_AT, NAME_AT, NAME_BYTES, NUMBERS_AT] = [8, 13, 64, 81];
const CONTENT_AT = 5;
const VERSION_FILE = "/version.txt";

const NOTHING: Image = { kind: "unknown", version: "", project: "", compiled: "", idf: "", trouble: "" };

export function sizeText(bytes: number): string {
  if (bytes < 1024) return texts.bytes(bytes);
  return bytes < 1024 ** 2 ? `${(bytes / 1024).toFixed(1)} KiB` : `${(bytes / 1024 ** 2).toFixed(2)} MiB`;
}

/** Look at a file that is meant to be firmware, or a web page. */
export function examine(bytes: Uint8Array, wanted: "firmware" | "page"): Image {
  const { trouble } = texts;
  if (!bytes.length) return { ...NOTHING, trouble: trouble.empty };
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const isPage = bytes.length > PAGE_BYTES && view.getUint16(MARK_AT, true) === markOf(0);
  const found = isPage ? page(bytes, view) : bytes[0] === MAGIC ? firmware(bytes, view) : NOTHING;
  if (found.kind === wanted) return found;
  if (found.kind === "unknown") return { ...found, trouble: wanted === "page" ? trouble.noPage : trouble.noFirmware };
  return { ...found, trouble: wanted === "page" ? trouble.isFirmware : trouble.isPage };
}

function firmware(bytes: Uint8Array, view: DataView): Image {
  const isDescribed = bytes.length >= DESCRIPTION_AT + 256 && view.getUint32(DESCRIPTION_AT, true) === DESCRIPTION_MAGIC;
  const text = (at: number, size: number): string => (isDescribed ? textAt(bytes, DESCRIPTION_AT + at, size) : "");
  return {
    kind: "firmware",
    version: text(16, 32),
    project: text(48, 32),
    compiled: `${text(96, 16)} ${text(80, 16)}`.trim(),
    idf: text(112, 32),
    trouble: firmwareTrouble(bytes, view, isDescribed),
  };
}

function firmwareTrouble(bytes: Uint8Array, view: DataView, isDescribed: boolean): string {
  const { trouble } = texts;
  if (bytes.length < DESCRIPTION_AT) return trouble.cutOff(DESCRIPTION_AT - bytes.length);
  const [segments, chip] = [view.getUint8(1), view.getUint16(12, true)];
  if (segments < 1 || segments > MOST_SEGMENTS) return trouble.segments(segments);
  if (chip !== ESP32_S3) return trouble.otherChip(chip);
  let [at, checksum] = [HEADER_BYTES, CHECKSUM_START];
  for (let left = segments; left; left -= 1) {
    const start = at + SEGMENT_HEAD_BYTES;
    if (start > bytes.length) return trouble.cutOff(start - bytes.length);
    at = start + view.getUint32(at + 4, true);
    if (at > SLOT_BYTES) return trouble.tooLarge(sizeText(Math.max(at, bytes.length)), sizeText(SLOT_BYTES));
    if (at > bytes.length) return trouble.cutOff(at - bytes.length);
    for (let index = start; index < at; index += 1) checksum ^= bytes[index] ?? 0;
  }
  if (!isDescribed) return trouble.noDescription;
  const end = (Math.floor(at / ROW_BYTES) + 1) * ROW_BYTES;
  const whole = end + (view.getUint8(HEADER_BYTES - 1) ? DIGEST_BYTES : 0);
  if (whole > bytes.length) return trouble.cutOff(whole - bytes.length);
  if (bytes.length > SLOT_BYTES) return trouble.tooLarge(sizeText(bytes.length), sizeText(SLOT_BYTES));
  return bytes[end - 1] === checksum ? "" : trouble.damaged;
}

const markOf = (block: number): number => (SPIFFS_MAGIC ^ PAGE_BYTES ^ (BLOCKS - block)) & 0xffff;

function page(bytes: Uint8Array, view: DataView): Image {
  const { trouble } = texts;
  const found: Image = { ...NOTHING, kind: "page" };
  if (bytes.length !== PAGE_IMAGE_BYTES) return { ...found, trouble: trouble.pageSize(sizeText(bytes.length), sizeText(PAGE_IMAGE_BYTES)) };
  const damaged = [...Array(BLOCKS).keys()].find((block) => view.getUint16(block * BLOCK_BYTES + MARK_AT, true) !== markOf(block));
  if (damaged !== undefined) return { ...found, trouble: trouble.damagedPage(damaged) };
  return { ...found, version: pageVersion(bytes, view) };
}

/** What the image's own file says; empty where there is none. */
function pageVersion(bytes: Uint8Array, view: DataView): string {
  for (let at = 0; at < bytes.length; at += PAGE_BYTES) {
    const isLookup = at % BLOCK_BYTES === 0;
    if (isLookup || !(view.getUint16(at, true) & INDEX_BIT) || view.getUint16(at + 2, true) !== 0) continue;
    if (textAt(bytes, at + NAME_AT, NAME_BYTES) !== VERSION_FILE) continue;
    const start = view.getUint16(at + NUMBERS_AT, true) * PAGE_BYTES + CONTENT_AT;
    const size = Math.min(view.getUint32(at + SIZE_AT, true), PAGE_BYTES - CONTENT_AT);
    return textAt(bytes, start, size).trim();
  }
  return "";
}

/** A text that ends at a zero, or where its room does. */
function textAt(bytes: Uint8Array, at: number, size: number): string {
  const field = bytes.subarray(at, at + size);
  const end = field.indexOf(0);
  return new TextDecoder().decode(end < 0 ? field : field.subarray(0, end));
}
