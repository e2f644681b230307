/** What a chart draws where, and what it says of a place. */

import { duration } from "./format";
import { BIN_S, joined } from "./history";
import type { Series, Unit, Value } from "./quantities";
import { chart as words } from "$texts";

/** Values of one moment. */
export interface Point {
  /** Where on the axis, in seconds. */
  time: number;
  /** In device seconds, by which it is thinned: it stays while `time` moves. */
  uptime: number;
  /** Of another boot begins another line. */
  boot: string;
  values: Value[];
  /** Where it stands for several: the least and the most of each. */
  low?: Value[];
  high?: Value[];
}

export type MarkKind = "restart" | "fault" | "setting" | "block";

/** A thing that happened, at its place. */
export interface Mark {
  time: number;
  kind: MarkKind;
  label: string;
}

export type Span = [number, number];

/** What is drawn of one line, null where it breaks. */
export interface Drawn {
  values: Value[];
  low: Value[];
  high: Value[];
}

export interface Rows {
  times: number[];
  lines: Drawn[];
}

/** Of a longer time each minute is one point. */
const THINNED_S = 3600;

/** The points of a span, thinned where it is long: as dense lately as before. */
export function shown(points: Point[], [since, until]: Span): Point[] {
  const within = points.filter(({ time }) => time >= since && time <= until);
  return until - since > THINNED_S ? minutely(within) : within;
}

/** Points of each minute as one. */
export function minutely(points: Point[]): Point[] {
  const bins: Point[][] = [];
  let key = "";
  for (const point of points) {
    const minute = `${point.boot} ${Math.floor(point.uptime / BIN_S)}`;
    if (minute !== key) bins.push([]);
    key = minute;
    bins.at(-1)?.push(point);
  }
  return bins.flatMap((bin) => {
    const [first] = bin;
    if (!first || bin.length === 1) return first ?? [];
    const uptime = bin.reduce((sum, one) => sum + one.uptime, 0) / bin.length;
    return { time: first.time + uptime - first.uptime, uptime, boot: first.boot, ...joined(bin) };
  });
}

/** Rows of some of the values; a gap in time or another boot breaks the lines. */
export function rowsOf(points: Point[], indices: number[], gapS: number): Rows {
  const times: number[] = [];
  const lines = indices.map((): Drawn => ({ values: [], low: [], high: [] }));
  points.forEach((point, at) => {
    const before = points[at - 1];
    if (before && (before.boot !== point.boot || point.time - before.time > gapS)) {
      times.push((before.time + point.time) / 2);
      for (const { values, low, high } of lines) for (const list of [values, low, high]) list.push(null);
    }
    times.push(point.time);
    lines.forEach(({ values, low, high }, line) => {
      const index = indices[line] ?? -1;
      const value = point.values[index] ?? null;
      values.push(value);
      low.push(point.low?.[index] ?? value);
      high.push(point.high?.[index] ?? value);
    });
  });
  return { times, lines };
}

/** No line knows anything in this row. */
export const isUnknown = ({ lines }: Rows, row: number): boolean => lines.every(({ values }) => typeof values[row] !== "number");

/** The row that a place tells of: of a line the nearer end, in a gap and outside none. */
export function rowAt(rows: Rows, time: number, nearS: number): number | null {
  const { times } = rows;
  const after = times.findIndex((one) => one >= time);
  const around = (after < 0 ? [times.length - 1] : [after - 1, after]).filter((index) => index >= 0);
  const near = around.filter((index) => Math.abs((times[index] ?? 0) - time) <= nearS && !isUnknown(rows, index));
  // Between two values of one line it does not matter how far they are.
  const isLine = around.length === 2 && around.every((index) => !isUnknown(rows, index));
  const found = isLine ? around : near;
  const far = (index: number): number => Math.abs((times[index] ?? 0) - time);
  return found.toSorted((a, b) => far(a) - far(b))[0] ?? null;
}

/** The next row that knows something, so many steps on; the last one there is at the end. */
export function rowFrom(rows: Rows, row: number | null, steps: number): number | null {
  const known = [...rows.times.keys()].filter((index) => !isUnknown(rows, index));
  if (!known.length) return null;
  const here = row === null ? (steps < 0 ? known.length : -1) : known.indexOf(row);
  return known[Math.min(known.length - 1, Math.max(0, here + steps))] ?? null;
}

/** What an axis shows for values between two. */
export function axisRange(low: number, high: number, unit: Unit): Span {
  const [floor, ceiling] = [unit.low ?? 0, unit.high ?? Infinity];
  if (low === 0 && high === 0 && floor === 0) return [0, unit.ofNothing];
  const least = Math.max(unit.least ?? 0, 0.2 * Math.max(Math.abs(low), Math.abs(high)));
  const room = Math.max(least - (high - low), (high - low) * 0.15) / 2;
  const top = Math.min(ceiling, high + room);
  return [Math.max(floor, Math.min(low - room, top - least)), top];
}

/** The least and the most of some lines; undefined where nothing is known. */
export function extent(lines: Drawn[]): Span | undefined {
  const known = (list: Value[]): number[] => list.filter((value) => value !== null);
  const lows = lines.flatMap(({ low }) => known(low));
  const highs = lines.flatMap(({ high }) => known(high));
  return lows.length ? [Math.min(...lows), Math.max(...highs)] : undefined;
}

/** The parts of a line that stand for more than one value: from row to row. */
export function bands({ low, high }: Drawn): Span[] {
  const found: Span[] = [];
  let from = -1;
  low.forEach((_, row) => {
    const isThin = low[row] === null;
    if (!isThin && from < 0) from = row;
    if (from >= 0 && (isThin || row === low.length - 1)) {
      const to = isThin ? row - 1 : row;
      const isBand = low.slice(from, to + 1).some((value, at) => value !== high[from + at]);
      if (to > from && isBand) found.push([from, to]);
      from = -1;
    }
  });
  return found;
}

/** Units in the order of their lines: the first has the left axis, the second the right. */
export const unitsOf = (lines: Series[]): Unit[] =>
  lines.map(({ unit }) => unit).filter((unit, at, all) => all.findIndex(({ name }) => name === unit.name) === at);

export const MOST_UNITS = 2;

/** What is shown: what was chosen, as far as it is there, or the usual. */
export function chosenOf(series: Series[], keys: string[] | null, usual: string[]): Series[] {
  const of = (wanted: string[]): Series[] => series.filter(({ key }) => wanted.includes(key));
  const found = of(keys ?? usual);
  const units = unitsOf(found).slice(0, MOST_UNITS).map(({ name }) => name);
  const lines = found.filter(({ unit }) => units.includes(unit.name));
  return lines.length ? lines : of(usual);
}

const PALETTE = ["--hash", "--power", "--fan", "--heat", "--heat2", "--line6", "--line7", "--line8"];

/** A colour for each line, its own where no line before has it. */
export function coloured(lines: Series[]): Series[] {
  const taken = new Set<string>();
  return lines.map((line) => {
    const color = taken.has(line.color) ? (PALETTE.find((one) => !taken.has(one)) ?? line.color) : line.color;
    taken.add(color);
    return { ...line, color };
  });
}

/** The things that happened near a place. */
export const marksAt = (marks: Mark[], time: number, nearS: number): Mark[] =>
  marks.filter((mark) => Math.abs(mark.time - time) <= nearS);

const dayOf = (at: Date): string => at.toLocaleDateString("en-GB", { day: "numeric", month: "short" });

/** When that was: in device time where that runs otherwise than ours, else on our clock, with a date of another day. */
export function placeText(time: number, now: number, isOurs: boolean): string {
  if (!isOurs) return now - time < 1 ? words.now : words.before(duration(now - time));
  const at = new Date(time * 1000);
  const clock = at.toLocaleTimeString("en-GB");
  const isToday = at.toDateString() === new Date(now * 1000).toDateString();
  return isToday ? clock : `${dayOf(at)}, ${clock}`;
}

/** Of so short a span the seconds are told. */
export const SECONDS_S = 300;

/** What stands along an axis of our clock: the date at midnight. */
export function clockText(time: number, spanS: number): string {
  const at = new Date(time * 1000);
  if (!at.getHours() && !at.getMinutes() && !at.getSeconds()) return dayOf(at);
  const seconds = spanS <= SECONDS_S ? ({ second: "2-digit" } as const) : {};
  return at.toLocaleTimeString("en-GB", { hour: "2-digit", minute: "2-digit", ...seconds });
}

const STEPS_S = [1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 10800, 21600];

/** Marks between two times, at round times before now, with room for so many. */
export function marksBefore(now: number, [low, high]: Span, most: number): number[] {
  const step = STEPS_S.find((one) => (high - low) / one <= most) ?? 43_200;
  const first = Math.ceil((now - high) / step - 1e-6);
  const last = Math.ceil((now - low) / step - 1e-6) - 1; // none at the very edge, where the other axis is
  return Array.from({ length: Math.max(0, last - first + 1) }, (_, index) => now - (last - index) * step);
}

/** What stands at such a mark. */
export function markText(time: number, now: number): string {
  const text = duration(Math.round(now - time)).replace(/ 0 \w+$/, "");
  return text === "0 s" ? words.now : `−${text}`;
}

/** A part of a span about a place, so much smaller or larger; never beyond the whole. */
export function zoomed([low, high]: Span, about: number, factor: number, [first, last]: Span, leastS: number): Span {
  const length = Math.min(Math.max((high - low) * factor, leastS), last - first);
  const from = about - ((about - low) / (high - low)) * length;
  const start = Math.min(Math.max(from, first), last - length);
  return [start, start + length];
}
