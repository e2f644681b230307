/**
 * What the charts show: samples of twelve hours, dense lately, kept in the browser.
 *
 * A sample is known by the device's boot and its uptime there, because device time need
 * not be ours: it may run faster, stand still or jump. Only drawing places it on our clock.
 */

import type { Mark, MarkKind, Point } from "./drawing";
import { QUANTITIES, type Value } from "./quantities";

export interface Sample {
  /** Device seconds since boot. */
  uptime: number;
  /** One for each of `QUANTITIES`. */
  values: Value[];
  /** Of a minute's samples, where they are one: the least and the most of each. */
  low?: Value[];
  high?: Value[];
}

/** Something that happened. */
export interface Happening {
  uptime: number;
  kind: MarkKind;
  label: string;
}

interface Boot {
  name: string;
  /** What it was started by, in the device's words. */
  cause: string;
  /** The last news of it: seconds since 1970, and its uptime then. */
  seenAt: number;
  uptime: number;
  /** Its uptime until which time did not run as ours does; undefined when it always did. */
  bentUntil: number | undefined;
  /** Seconds since 1970 at its uptime 0, as long as time runs as ours. */
  began: number;
  samples: Sample[];
  happenings: Happening[];
}

/** All of it on our clock, the oldest first. */
export interface Placed {
  points: Point[];
  marks: Mark[];
  /** Where a boot's uptime 0 is. */
  zeros: Map<string, number>;
  /** From here on, device time ran as our clock does. */
  oursSince: number;
}

const KEPT_S = 12 * 3600;
const DENSE_S = 3600;
export const BIN_S = 60;
const SAVE_S = 30;
/** Of nearer samples the last one stays: the page shows the same elsewhere. */
const LEAST_STEP_S = 1;
/** An answer may be on its way so long. */
const DRIFT_S = 8;
const MOST_HAPPENINGS = 100;

const wall = (): number => Date.now() / 1000;

export class History {
  /** The present one last. */
  private boots: Boot[] = [];
  private key = "";
  private savedAt = 0;

  /** Take up what this browser remembers of a device. */
  open(mac: string): void {
    const key = `softaxe-history-${mac}`;
    if (this.key === key) return;
    this.key = key;
    this.boots = [];
    try {
      this.boots = (JSON.parse(localStorage.getItem(key) ?? "[]") as unknown[]).map(bootFrom);
    } catch {
      localStorage.removeItem(key); // not ours, or cut off: start anew
    }
  }

  /** Uptime of the last sample of a boot. */
  last(name: string): number | undefined {
    return this.boots.find((boot) => boot.name === name)?.samples.at(-1)?.uptime;
  }

  /** How often it has restarted in the last seconds, on our clock. */
  restarts(seconds: number): number {
    const [first, ...more] = this.boots.filter((boot) => wall() - boot.seenAt < seconds);
    // Before the first one nobody looked, but it may tell itself.
    return more.length + (first && first.uptime < seconds && isCrash(first.cause) ? 1 : 0);
  }

  /** Note samples of a boot, and its uptime now; at what speed time runs, and why it booted. */
  merge(name: string, uptime: number, more: Sample[], { speed = 1, cause = "" } = {}): void {
    const before = this.boots.find((boot) => boot.name === name);
    const samples = [...(before?.samples ?? []), ...more]
      .filter((sample) => sample.uptime <= uptime) // time may have been set back
      .sort((a, b) => a.uptime - b.uptime);
    const seenAt = wall();
    const began = seenAt - uptime;
    const hasDrifted = before !== undefined && Math.abs(began - before.began) > DRIFT_S;
    const isBent = speed !== 1 || hasDrifted;
    const boot: Boot = {
      name,
      cause,
      seenAt,
      uptime,
      bentUntil: isBent ? uptime : before?.bentUntil,
      began: isBent ? began : (before?.began ?? began),
      samples: thinned(samples, uptime),
      happenings: before?.happenings.filter((one) => one.uptime <= uptime) ?? [],
    };
    this.boots = [...this.boots.filter((other) => other.name !== name && isKept(other)), boot];
    if (boot.seenAt - this.savedAt >= SAVE_S) this.save();
  }

  /** Note what has happened in the present boot. */
  note(happened: Happening[]): void {
    const boot = this.boots.at(-1);
    if (boot) boot.happenings = [...boot.happenings, ...happened].slice(-MOST_HAPPENINGS);
  }

  placed(): Placed {
    const found: Placed = { points: [], marks: [], zeros: new Map(), oursSince: -Infinity };
    let end = Infinity;
    for (const boot of this.boots.toReversed()) {
      // Fast device time reaches back before the boot: what was earlier gives way.
      const zero = Math.min(boot.seenAt, end) - boot.uptime;
      const points = boot.samples.map((sample) => ({ ...sample, time: zero + sample.uptime, boot: boot.name }));
      found.points.unshift(...points);
      const marks = boot.happenings.map(({ uptime, kind, label }) => ({ time: zero + uptime, kind, label }));
      const isFirst = boot === this.boots[0];
      found.marks.unshift(...(isFirst ? [] : [{ time: zero, kind: "restart" as const, label: boot.cause }]), ...marks);
      found.zeros.set(boot.name, zero);
      if (boot.bentUntil !== undefined) found.oursSince = Math.max(found.oursSince, zero + boot.bentUntil);
      end = zero;
    }
    return found;
  }

  save(): void {
    if (!this.key) return;
    this.savedAt = wall();
    try {
      localStorage.setItem(this.key, JSON.stringify(this.boots.map(toStored)));
    } catch {
      localStorage.removeItem(this.key); // the browser's storage is full
    }
  }
}

/** A reason to have restarted, in the firmware's words, that is nobody's wish. */
export const isCrash = (reason: string): boolean => /panic|watchdog|brownout/i.test(reason);

const isKept = (boot: Boot): boolean => boot.samples.length > 0 && wall() - boot.seenAt < KEPT_S;

/** Drop what is too old, and make one of each old minute. */
export function thinned(samples: Sample[], uptime: number): Sample[] {
  const kept: Sample[] = [];
  let bin: Sample[] = [];
  let isMinute = false;
  const flush = (): void => {
    const last = bin.at(-1);
    if (last) kept.push(isMinute ? asOne(bin) : last);
    bin = [];
  };
  for (const sample of samples) {
    const age = uptime - sample.uptime;
    if (age > KEPT_S) continue;
    // Whole minutes only: what is averaged bit by bit is no average.
    const minuteEnd = (Math.floor(sample.uptime / BIN_S) + 1) * BIN_S;
    const width = uptime - minuteEnd >= DENSE_S ? BIN_S : LEAST_STEP_S;
    const first = bin[0];
    if (first && Math.floor(first.uptime / width) !== Math.floor(sample.uptime / width)) flush();
    isMinute = width === BIN_S;
    bin.push(sample);
  }
  flush();
  return kept;
}

function asOne(bin: Sample[]): Sample {
  const [first] = bin;
  if (first && bin.length === 1) return first;
  return { uptime: bin.reduce((sum, one) => sum + one.uptime, 0) / bin.length, ...joined(bin) };
}

type Values = Omit<Sample, "uptime">;

/** The mean of each value, with the least and the most. */
export function joined(bin: Values[]): Values {
  const columns = bin[0]?.values.map((_, index) => {
    const of = (list: (one: Values) => Value[]): number[] =>
      bin.map((one) => list(one)[index]).filter((value) => typeof value === "number");
    const values = of((one) => one.values);
    if (!values.length) return [null, null, null];
    const mean = values.reduce((sum, value) => sum + value, 0) / values.length;
    return [mean, Math.min(...of((one) => one.low ?? one.values)), Math.max(...of((one) => one.high ?? one.values))];
  });
  const at = (place: number): Value[] => (columns ?? []).map((column) => column[place] ?? null);
  return { values: at(0), low: at(1), high: at(2) };
}

type Stored = [string, number, number, Row[], string, number | null, number, [number, MarkKind, string][]];
type Row = [number, ...Value[][]];

const seconds = (value: number): number => Math.round(value * 100) / 100;
/** The digits that anybody reads; real work has hash rates far below 1. */
const short = (value: Value): Value => value && Number(value.toPrecision(6));
const toStored = (boot: Boot): Stored => [
  boot.name,
  boot.seenAt,
  boot.uptime,
  boot.samples.map(({ uptime, values, low, high }) => [
    seconds(uptime),
    ...[values, low, high].filter((list) => list !== undefined).map((list) => list.map(short)),
  ]),
  boot.cause,
  boot.bentUntil ?? null,
  boot.began,
  boot.happenings.map(({ uptime, kind, label }) => [seconds(uptime), kind, label]),
];

function bootFrom(stored: unknown): Boot {
  const [name, seenAt, uptime, rows, cause, bentUntil, began, happenings] = stored as Stored;
  if (typeof name !== "string" || ![seenAt, uptime, began].every(Number.isFinite)) throw new TypeError("no boot");
  return {
    name,
    cause,
    seenAt,
    uptime,
    bentUntil: bentUntil ?? undefined,
    began,
    samples: rows.map(fromRow),
    happenings: happenings.map(([at, kind, label]) => ({ uptime: at, kind, label })),
  };
}

function fromRow([uptime, values, low, high]: Row): Sample {
  const lists = [values, low, high].filter((list) => list !== undefined);
  const isSample = Number.isFinite(uptime) && values && lists.every((list) => list.length === QUANTITIES.length);
  if (!isSample) throw new TypeError("no sample");
  return { uptime, values, ...(low && high ? { low, high } : {}) };
}
