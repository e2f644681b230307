/** What a chart draws where, and what it says of a place. */

import { duration } from "./format";

/** Rows of a drawing: when, and the value of each line then, null where a line breaks. */
export type Rows = [number[], ...(number | null)[][]];

interface Known {
  time: number;
  boot: string;
}

/** Rows for lines; a gap in time or another boot breaks them. */
export function rowsOf<T extends Known>(samples: T[], lines: ((sample: T) => number | null)[], gapS: number): Rows {
  const times: number[] = [];
  const values = lines.map((): (number | null)[] => []);
  samples.forEach((sample, index) => {
    const before = samples[index - 1];
    if (before && (before.boot !== sample.boot || sample.time - before.time > gapS)) {
      times.push((before.time + sample.time) / 2);
      for (const list of values) list.push(null);
    }
    times.push(sample.time);
    lines.forEach((line, at) => values[at]?.push(line(sample)));
  });
  return [times, ...values];
}

/** The row that a place tells of: of a line the nearer end, in a gap and outside none. */
export function rowAt([times, ...values]: Rows, time: number, nearS: number): number | null {
  const after = times.findIndex((one) => one >= time);
  const isEmpty = (index: number): boolean => values.every((list) => typeof list[index] !== "number");
  const around = (after < 0 ? [times.length - 1] : [after - 1, after]).filter((index) => index >= 0);
  const near = around.filter((index) => Math.abs((times[index] ?? 0) - time) <= nearS && !isEmpty(index));
  // Between two values of one line it does not matter how far they are.
  const isLine = around.length === 2 && around.every((index) => !isEmpty(index));
  const found = isLine ? around : near;
  const far = (index: number): number => Math.abs((times[index] ?? 0) - time);
  return found.toSorted((a, b) => far(a) - far(b))[0] ?? null;
}

/** When that was: in device time where that runs otherwise than ours, else on our clock, with a date of another day. */
export function placeText(time: number, now: number, isOurs: boolean): string {
  if (!isOurs) return now - time < 1 ? "now" : `${duration(now - time)} ago`;
  const at = new Date(time * 1000);
  const clock = at.toLocaleTimeString("en-GB");
  const isToday = at.toDateString() === new Date(now * 1000).toDateString();
  return isToday ? clock : `${at.toLocaleDateString("en-GB", { day: "numeric", month: "short" })}, ${clock}`;
}

const STEPS_S = [1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 10800, 21600];

/** Marks between two times, at round times before now, with room for so many. */
export function marksBefore(now: number, [low, high]: [number, number], most: number): number[] {
  const step = STEPS_S.find((one) => (high - low) / one <= most) ?? 43_200;
  const first = Math.ceil((now - high) / step - 1e-6);
  const last = Math.ceil((now - low) / step - 1e-6) - 1; // none at the very edge, where the other axis is
  return Array.from({ length: Math.max(0, last - first + 1) }, (_, index) => now - (last - index) * step);
}

/** What stands at such a mark. */
export function markText(time: number, now: number): string {
  const text = duration(Math.round(now - time)).replace(/ 0 \w+$/, "");
  return text === "0 s" ? "now" : `−${text}`;
}
