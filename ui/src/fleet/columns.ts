/** The columns that the table of devices can have. */

import { columns as texts } from "$texts";
import { difficultyText, duration, hashrateText, number } from "../lib/format";
import type { Row } from "./api";
import { inOrder, rejectPercent } from "./table";

type Value = string | number | null;

export interface Column {
  /** In the address. */
  name: string;
  label: string;
  /** Of `value`, if it has one; for a file. */
  unit?: string;
  /** In pixels, whatever it holds: nothing moves sideways. */
  width: number;
  isNumber?: boolean;
  /** Which columns a narrow window goes without first: those with the highest. */
  rank: number;
  /** As it is written into a file and, if nothing else is said, sorted by. */
  value: (row: Row) => Value;
  sort?: (row: Row) => Value;
  text?: (row: Row) => string;
}

const NONE = "–";
const numberText = (value: number | null, unit = "", digits = 0): string =>
  value === null ? NONE : `${number(value, digits)}${unit && ` ${unit}`}`;
const expectedPercent = (row: Row): number | null => (row.expectedHashrate > 0 ? (100 * row.hashRate) / row.expectedHashrate : null);
const heat = (row: Row): number | null => (row.temp < 0 ? null : row.temp);

export const COLUMNS: Column[] = [
  { name: "hostname", label: texts.hostname, width: 168, rank: 0, value: (row) => row.hostname },
  { name: "id", label: texts.id, width: 92, rank: 17, value: (row) => row.id, sort: (row) => inOrder(row.id) },
  { name: "url", label: texts.url, width: 142, rank: 15, value: (row) => row.url, sort: (row) => inOrder(row.url), text: (row) => new URL(row.url).host },
  { name: "macAddr", label: texts.macAddr, width: 156, rank: 23, value: (row) => row.macAddr },
  { name: "state", label: texts.state, width: 112, rank: 1, value: (row) => row.state },
  { name: "group", label: texts.group, width: 84, rank: 7, value: (row) => row.group },
  { name: "board", label: texts.board, width: 110, rank: 9, value: (row) => row.board, text: (row) => `${row.board} ${row.family}` },
  { name: "firmware", label: texts.firmware, width: 86, rank: 8, value: (row) => row.firmware, sort: (row) => inOrder(row.firmware) },
  { name: "pool", label: texts.pool, width: 150, rank: 16, value: (row) => row.pool || null },
  { name: "frequency", label: texts.frequency, unit: "MHz", width: 62, isNumber: true, rank: 12, value: (row) => row.frequency, text: (row) => number(row.frequency, row.frequency % 1 ? 1 : 0) },
  { name: "coreVoltage", label: texts.coreVoltage, unit: "mV", width: 64, isNumber: true, rank: 13, value: (row) => row.coreVoltage },
  { name: "hashRate", label: texts.hashRate, unit: "GH/s", width: 108, isNumber: true, rank: 2, value: (row) => row.hashRate, text: (row) => hashrateText(row.hashRate) },
  {
    name: "expected",
    label: texts.expected,
    unit: "%",
    width: 88,
    isNumber: true,
    rank: 14,
    value: expectedPercent,
    text: (row) => numberText(expectedPercent(row), "%"),
  },
  { name: "power", label: texts.power, unit: "W", width: 72, isNumber: true, rank: 3, value: (row) => row.power, text: (row) => numberText(row.power, "W", 1) },
  { name: "efficiency", label: texts.efficiency, unit: "J/TH", width: 62, isNumber: true, rank: 11, value: (row) => row.efficiency, text: (row) => numberText(row.efficiency, "", 1) },
  { name: "temp", label: texts.temp, unit: "°C", width: 76, isNumber: true, rank: 4, value: heat, text: (row) => numberText(heat(row), "°C", 1) },
  { name: "vrTemp", label: texts.vrTemp, unit: "°C", width: 70, isNumber: true, rank: 19, value: (row) => row.vrTemp, text: (row) => numberText(row.vrTemp, "°C") },
  { name: "fanspeed", label: texts.fanspeed, unit: "%", width: 62, isNumber: true, rank: 10, value: (row) => row.fanspeed, text: (row) => numberText(row.fanspeed, "%") },
  { name: "accepted", label: texts.accepted, width: 86, isNumber: true, rank: 18, value: (row) => row.sharesAccepted },
  {
    name: "rejected",
    label: texts.rejected,
    unit: "%",
    width: 88,
    isNumber: true,
    rank: 5,
    value: rejectPercent,
    text: (row) => numberText(rejectPercent(row), "%", 1),
  },
  { name: "best", label: texts.best, width: 92, isNumber: true, rank: 20, value: (row) => row.bestDiff, text: (row) => difficultyText(row.bestDiff) },
  { name: "rssi", label: texts.rssi, unit: "dBm", width: 82, isNumber: true, rank: 21, value: (row) => row.rssi, text: (row) => numberText(row.rssi, "dBm") },
  { name: "uptime", label: texts.uptime, unit: "s", width: 108, isNumber: true, rank: 6.5, value: (row) => row.uptimeSeconds, text: (row) => duration(row.uptimeSeconds) },
  { name: "faults", label: texts.faults, width: 150, rank: 6, value: (row) => row.effects.join(" ") || null, text: (row) => row.effects.join(", ") || NONE },
];

const OFF = new Set(["overheated", "fault", "idle", "paused"]);
/** True for one whose chips are off: the rate that it tells is the last from before. */
export const isOff = (row: Row): boolean => OFF.has(row.state);

export const columnNamed = (name: string): Column | undefined => COLUMNS.find((column) => column.name === name);

export const textOf = (column: Column, row: Row): string => {
  if (column.text) return column.text(row);
  const value = column.value(row);
  return typeof value === "number" ? number(value) : (value ?? NONE);
};

/** The key that rows are put in order by; what is not known comes before all else. */
export function sortKey(column: Column): (row: Row) => string | number {
  const key = column.sort ?? column.value;
  return (row) => key(row) ?? (column.isNumber ? Number.NEGATIVE_INFINITY : "");
}

/** Those that were chosen; of none, those that fit into a width, the most wanted first. */
export function columnsFor(names: string[], widthPx: number): Column[] {
  if (names.length) return COLUMNS.filter(({ name, rank }) => !rank || names.includes(name));
  const found = new Set<Column>();
  let left = widthPx;
  for (const column of [...COLUMNS].sort((one, two) => one.rank - two.rank)) {
    left -= column.width;
    if (left < 0 && found.size) break;
    found.add(column);
  }
  return COLUMNS.filter((column) => found.has(column));
}

const quoted = (value: Value): string => {
  const text = value === null ? "" : String(value);
  return /[",\r\n]/.test(text) ? `"${text.replace(/"/g, '""')}"` : text;
};

/** What is shown as RFC 4180 has it, with the units in the first line. */
export function csv(columns: Column[], rows: Row[]): string {
  const heads = columns.map(({ label, unit }) => quoted(unit && !label.includes(unit) ? `${label} (${unit})` : label));
  const lines = rows.map((row) => columns.map((column) => quoted(column.value(row))));
  return [heads, ...lines].map((cells) => `${cells.join(",")}\r\n`).join("");
}
