/**
 * What the charts show: samples of twelve hours, dense lately, kept in the browser.
 *
 * A sample is known by the device's boot and its uptime there, because device time need
 * not be ours: it may run faster, stand still or jump. Only drawing places it on our clock.
 */

export interface Sample {
  /** Device seconds since boot. */
  uptime: number;
  /** GH/s; null when what the device said was none. */
  hashrate: number | null;
  temp: number;
  vr: number;
  power: number;
  fan: number;
}

export interface Placed extends Sample {
  /** Where it is drawn: seconds since 1970. */
  time: number;
  boot: string;
}

interface Boot {
  name: string;
  /** The last news of it: seconds since 1970, and its uptime then. */
  seenAt: number;
  uptime: number;
  samples: Sample[];
}

const KEPT_S = 12 * 3600;
const DENSE_S = 3600;
const BIN_S = 60;
const SAVE_S = 30;
/** Of nearer samples the last one stays: the page shows the same elsewhere. */
const LEAST_STEP_S = 1;

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
    return Math.max(0, this.boots.filter((boot) => wall() - boot.seenAt < seconds).length - 1);
  }

  /** Note samples of a boot, and its uptime now. */
  merge(name: string, uptime: number, more: Sample[]): void {
    const before = this.boots.find((boot) => boot.name === name)?.samples ?? [];
    const samples = [...before, ...more]
      .filter((sample) => sample.uptime <= uptime) // time may have been set back
      .sort((a, b) => a.uptime - b.uptime);
    const boot = { name, seenAt: wall(), uptime, samples: thinned(samples, uptime) };
    this.boots = [...this.boots.filter((other) => other.name !== name && isKept(other)), boot];
    if (boot.seenAt - this.savedAt >= SAVE_S) this.save();
  }

  /** All samples on our clock, the oldest first. */
  placed(): Placed[] {
    const found: Placed[] = [];
    let end = Infinity;
    for (const boot of this.boots.toReversed()) {
      // Fast device time reaches back before the boot: what was earlier gives way.
      const zero = Math.min(boot.seenAt, end) - boot.uptime;
      const times = boot.samples.map((sample) => ({ ...sample, time: zero + sample.uptime, boot: boot.name }));
      found.unshift(...times);
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

const isKept = (boot: Boot): boolean => boot.samples.length > 0 && wall() - boot.seenAt < KEPT_S;

/** Drop what is too old, and average what is old into minutes. */
export function thinned(samples: Sample[], uptime: number): Sample[] {
  const kept: Sample[] = [];
  let bin: Sample[] = [];
  let isMinute = false;
  const flush = (): void => {
    const last = bin.at(-1);
    if (last) kept.push(isMinute ? mean(bin) : last);
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

/** Of samples of more than an hour, those of each minute as one: as dense lately as before. */
export function evened(placed: Placed[]): Placed[] {
  const bins: Placed[][] = [];
  let key = "";
  for (const sample of placed) {
    const minute = `${sample.boot} ${Math.floor(sample.uptime / BIN_S)}`;
    if (minute !== key) bins.push([]);
    key = minute;
    bins.at(-1)?.push(sample);
  }
  return bins.flatMap((bin) => {
    const [first] = bin;
    if (!first) return [];
    const made = mean(bin);
    return [{ ...made, boot: first.boot, time: first.time + made.uptime - first.uptime }];
  });
}

function mean(bin: Sample[]): Sample {
  const of = (values: number[]): number => values.reduce((sum, value) => sum + value, 0) / values.length;
  const rates = bin.map((s) => s.hashrate).filter((rate) => rate !== null);
  return {
    uptime: of(bin.map((s) => s.uptime)),
    hashrate: rates.length ? of(rates) : null,
    temp: of(bin.map((s) => s.temp)),
    vr: of(bin.map((s) => s.vr)),
    power: of(bin.map((s) => s.power)),
    fan: of(bin.map((s) => s.fan)),
  };
}

type Stored = [string, number, number, (number | null)[][]];

const round = (value: number): number => Math.round(value * 100) / 100;
/** Of GH/s; real work has very few. */
const roundRate = (value: number | null): number | null => value && Number(value.toPrecision(5));
const toStored = ({ name, seenAt, uptime, samples }: Boot): Stored => [
  name,
  seenAt,
  uptime,
  samples.map((s) => [round(s.uptime), roundRate(s.hashrate), ...[s.temp, s.vr, s.power, s.fan].map(round)]),
];

function bootFrom(stored: unknown): Boot {
  const [name, seenAt, uptime, rows] = stored as Stored;
  if (typeof name !== "string" || !Number.isFinite(seenAt) || !Number.isFinite(uptime)) throw new TypeError("no boot");
  return { name, seenAt, uptime, samples: rows.map(fromRow) };
}

function fromRow([uptime, hashrate, temp, vr, power, fan]: (number | null)[]): Sample {
  const of = (value: number | null | undefined): number => {
    if (typeof value !== "number") throw new TypeError("no sample");
    return value;
  };
  return {
    uptime: of(uptime),
    hashrate: hashrate === null ? null : of(hashrate),
    temp: of(temp),
    vr: of(vr),
    power: of(power),
    fan: of(fan),
  };
}
