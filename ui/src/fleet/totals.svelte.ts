/** The fleet's totals over time, for charts. */

import type { Mark, Point } from "../lib/drawing";
import { UNITS, type Series, type Value } from "../lib/quantities";
import { Timeframe } from "../lib/timeframe.svelte";
import type { History, Sums } from "./api";
import { fleet } from "./fleet.svelte";
import { totals as words } from "$texts";

/** Between points, of device time. Source: HISTORY_S of fleet/rows.py. */
const EVERY_S = 10;
/** A point may be late so long. */
const DRIFT_S = 3;
export const RANGES = [5, 15, 60, 120];

/** What is drawn of totals, and of the totals a point before. */
interface Total extends Series {
  of: (now: Moment, before: Moment | undefined) => Value;
}
type Moment = Pick<Sums, "hashRate" | "power" | "hottest" | "mining" | "problems" | "sharesAccepted" | "sharesRejected">;

export const SERIES: Total[] = [
  { key: "hashRate", label: words.hashrate, color: "--hash", unit: UNITS.hashrate, of: (now) => now.hashRate },
  { key: "power", label: words.power, color: "--power", unit: UNITS.watts, of: (now) => now.power },
  {
    key: "efficiency", label: words.efficiency, color: "--line6", unit: UNITS.efficiency,
    of: ({ power, hashRate }) => (hashRate > 0 ? (1000 * power) / hashRate : null),
  },
  // Where no chip can be read, the hottest one is told as 0.
  { key: "hottest", label: words.hottest, color: "--heat", unit: UNITS.celsius, of: (now) => now.hottest || null },
  { key: "mining", label: words.mining, color: "--fan", unit: UNITS.devices, of: (now) => now.mining },
  { key: "problems", label: words.problems, color: "--line7", unit: UNITS.devices, of: (now) => now.problems },
  { key: "rejected", label: words.rejected, color: "--heat2", unit: UNITS.percent, of: rejectedPercent },
];

/** Of the shares that were answered between two moments. */
function rejectedPercent(now: Moment, before: Moment | undefined): Value {
  const rejected = now.sharesRejected - (before?.sharesRejected ?? 0);
  const answered = now.sharesAccepted - (before?.sharesAccepted ?? 0) + rejected;
  // Fewer than before after a restart of a device: nobody knows what was between.
  return answered > 0 && rejected >= 0 && rejected <= answered ? (100 * rejected) / answered : null;
}

function moments(history: History): Moment[] {
  const at = (list: number[], index: number): number => list[index] ?? 0;
  return history.now.map((_, index) => ({
    hashRate: at(history.hashRate, index),
    power: at(history.power, index),
    hottest: at(history.hottest, index),
    mining: at(history.mining, index),
    problems: at(history.problems, index),
    sharesAccepted: at(history.sharesAccepted, index),
    sharesRejected: at(history.sharesRejected, index),
  }));
}

/** Device time from which on it has run as our clock does. */
export function oursSince({ now, time }: History): number {
  const isBent = (at: number): boolean =>
    Math.abs((time[at] ?? 0) - (time[at - 1] ?? 0) - ((now[at] ?? 0) - (now[at - 1] ?? 0))) > DRIFT_S;
  const last = now.findLastIndex((_, at) => at > 0 && isBent(at));
  return last < 0 ? -Infinity : (now[last] ?? 0);
}

class Totals {
  /** Where device time 0 is on the axis. */
  readonly zero = $derived(fleet.sums ? Date.now() / 1000 - fleet.sums.now : 0);
  readonly frame = new Timeframe("fleet", RANGES, () => {
    const { sums, history } = fleet;
    const isOurs = sums?.speed === 1 && !sums.paused && history;
    return {
      now: this.zero + (sums?.now ?? 0),
      oursSince: isOurs ? this.zero + oursSince(history) : Infinity,
      name: "",
      zeroOf: () => this.zero,
    };
  });
  private readonly moments = $derived(fleet.history ? moments(fleet.history) : []);
  readonly points = $derived(
    this.moments.map((moment, at): Point => {
      const uptime = fleet.history?.now[at] ?? 0;
      const values = SERIES.map(({ of }) => of(moment, this.moments[at - 1]));
      return { time: this.zero + uptime, uptime, boot: "", values };
    }),
  );
  /** As it is now, not at the last point. */
  readonly latest = $derived.by(() => {
    const { sums } = fleet;
    return sums && SERIES.map(({ of }) => of(sums, this.moments.at(-1)));
  });
  readonly gapS = $derived(2.5 * Math.max(EVERY_S, (fleet.sums?.speed ?? 1) * 0.1));
  readonly marks = $derived(
    (fleet.history?.happenings ?? []).map(({ now, kind, label, device, devices }): Mark => {
      const whom = devices > 1 ? words.devices(devices) : device;
      return { time: this.zero + now, kind, label: [whom, label].filter(Boolean).join(", ") };
    }),
  );
}

export const totals = new Totals();
