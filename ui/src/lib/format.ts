/** Numbers as people read them. */

import { format as texts } from "$texts";

/** By digits: making one takes longer than many numbers. */
const FORMATS: Intl.NumberFormat[] = [];

export function number(value: number, digits = 0): string {
  const format = (FORMATS[digits] ??= new Intl.NumberFormat("en", { minimumFractionDigits: digits, maximumFractionDigits: digits }));
  return format.format(value);
}

/** What to say of a speed that is wished for and not reached; empty while it is. */
export function shortfall(speed: number, reached: number | null): string {
  if (reached === null || reached >= 0.95 * speed) return "";
  return texts.onlySpeed(reached.toLocaleString("en", { maximumSignificantDigits: 2 }));
}

const PREFIXES = ["", "k", "M", "G", "T", "P", "E"];

/** Which prefix a value is read best with. */
function magnitude(value: number): number {
  let index = 0;
  for (; value >= 999.5 && index < PREFIXES.length - 1; index += 1) value /= 1000;
  return index;
}

/** Split a value into digits and a prefixed unit: 1070 GH/s is ["1.07", "TH/s"]. */
export function scaled(value: number, unit = "", digits = 2): [string, string] {
  const index = magnitude(value);
  return [number(value / 1000 ** index, index ? digits : 0), `${PREFIXES[index]}${unit}`];
}

export const scaledText = (value: number, unit = "", digits = 2): string =>
  scaled(value, unit, digits).join(" ").trim();

/** A difficulty; below 1 with the digits that tell it from 0. */
export const difficultyText = (value: number): string =>
  value > 0 && value < 1 ? `${Number(value.toPrecision(2))}` : scaledText(value);

/** A rate of hashes, in three digits: 1.07 TH/s, 965 GH/s. */
export function hashrate(gigahashes: number): [string, string] {
  const hashes = gigahashes * 1e9;
  const shown = hashes / 1000 ** magnitude(hashes);
  return scaled(hashes, "H/s", shown >= 99.95 ? 0 : shown >= 9.995 ? 1 : 2);
}

export const hashrateText = (gigahashes: number): string => hashrate(gigahashes).join(" ");

/** How many digits tell the marks of an axis as they are. */
export function digitsOf([first = 0, second = first + 1]: number[]): number {
  let digits = 0;
  for (let step = second - first; digits < 6 && Math.abs(step - Math.round(step)) > 1e-6; step *= 10) digits += 1;
  return digits;
}

/** The values along an axis, all in the unit of the largest and as exact as their steps. */
export function scaledTicks(ticks: number[], unit: string): string[] {
  const index = magnitude(Math.max(...ticks, 0));
  const values = ticks.map((value) => value / 1000 ** index);
  const digits = digitsOf(values);
  return values.map((value) => `${number(value, digits)} ${PREFIXES[index]}${unit}`);
}

export const hashrateTicks = (gigahashes: number[]): string[] =>
  scaledTicks(
    gigahashes.map((value) => value * 1e9),
    "H/s",
  );

/** So many of something: "1 device", "1,000 devices". */
export const counted = (count: number, one: string, many = `${one}s`): string => `${number(count)} ${count === 1 ? one : many}`;

/** In its two largest units: "1 h 5 min", "2 min". */
export function duration(seconds: number): string {
  const steps = texts.times;
  const first = steps.findIndex(([length]) => seconds >= length);
  if (first < 0) return texts.noTime;
  return steps
    .slice(first, first + 2)
    .map(([length, unit], index) => {
      const rest = index ? seconds % (steps[first]?.[0] ?? 1) : seconds;
      return [Math.floor(rest / length), unit] as const;
    })
    .filter(([count], index) => !index || count)
    .map(([count, unit]) => `${count} ${unit}`)
    .join(" ");
}

/** Not to the second: a screen reader says an alert again when it changes. */
export function roughly(seconds: number): string {
  return seconds < 60 ? texts.lessThanAMinute : duration(seconds < 3600 ? seconds - (seconds % 60) : seconds);
}

/** Bytes as memory is told: 205 kB, 8.1 MB. */
export const bytesText = (value: number): string => scaledText(value, "B", value >= 999_500 ? 1 : 0);

/** How much of a signal there is: 0 to 4 bars, and the word for it. */
export function signal(rssi: number): [number, string] {
  const bars = [-88, -75, -65, -55].filter((least) => rssi >= least).length;
  return [bars, texts.signal[bars] ?? ""];
}
