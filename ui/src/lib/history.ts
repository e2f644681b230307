/** What the charts show: samples of twelve hours, dense lately, kept in the browser. */

export interface Sample {
  /** Seconds since 1970. */
  time: number;
  hashrate: number;
  temp: number;
  vr: number;
  power: number;
  fan: number;
}

const KEPT_S = 12 * 3600;
const DENSE_S = 3600;
const BIN_S = 60;
const SAVE_S = 30;
/** Nearer samples are one. */
const LEAST_STEP_S = 1;

export class History {
  samples: Sample[] = [];
  private key = "";
  private savedAt = 0;

  /** Take up what this browser remembers of a device. */
  open(mac: string): void {
    const key = `softaxe-history-${mac}`;
    if (this.key === key) return;
    this.key = key;
    this.samples = [];
    try {
      const rows = JSON.parse(localStorage.getItem(key) ?? "[]") as number[][];
      this.merge(rows.map(fromRow));
    } catch {
      localStorage.removeItem(key); // not ours, or cut off: start anew
    }
  }

  add(sample: Sample): void {
    this.merge([sample]);
    if (sample.time - this.savedAt >= SAVE_S) this.save();
  }

  merge(more: Sample[]): void {
    const sorted = [...this.samples, ...more].sort((a, b) => a.time - b.time);
    this.samples = thinned(sorted, Date.now() / 1000);
  }

  save(): void {
    if (!this.key) return;
    this.savedAt = Date.now() / 1000;
    try {
      localStorage.setItem(this.key, JSON.stringify(this.samples.map(toRow)));
    } catch {
      localStorage.removeItem(this.key); // the browser's storage is full
    }
  }
}

/** Drop what is too old, and average what is old into minutes. */
export function thinned(samples: Sample[], now: number): Sample[] {
  const kept: Sample[] = [];
  let bin: Sample[] = [];
  const flush = (): void => {
    if (bin.length) kept.push(mean(bin));
    bin = [];
  };
  for (const sample of samples) {
    const age = now - sample.time;
    if (age > KEPT_S || age < -BIN_S) continue;
    const width = age > DENSE_S ? BIN_S : LEAST_STEP_S;
    const first = bin[0];
    if (first && Math.floor(first.time / width) !== Math.floor(sample.time / width)) flush();
    bin.push(sample);
  }
  flush();
  return kept;
}

function mean(bin: Sample[]): Sample {
  const of = (pick: (sample: Sample) => number): number =>
    bin.reduce((sum, sample) => sum + pick(sample), 0) / bin.length;
  return {
    time: of((s) => s.time),
    hashrate: of((s) => s.hashrate),
    temp: of((s) => s.temp),
    vr: of((s) => s.vr),
    power: of((s) => s.power),
    fan: of((s) => s.fan),
  };
}

const round = (value: number): number => Math.round(value * 100) / 100;
const toRow = (s: Sample): number[] => [s.time, s.hashrate, s.temp, s.vr, s.power, s.fan].map(round);

function fromRow(row: number[]): Sample {
  const [time = NaN, hashrate = NaN, temp = NaN, vr = NaN, power = NaN, fan = NaN] = row;
  const sample = { time, hashrate, temp, vr, power, fan };
  if (Object.values(sample).some((value) => !Number.isFinite(value))) throw new TypeError("no sample");
  return sample;
}
