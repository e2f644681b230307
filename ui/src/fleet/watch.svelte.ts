/** What the page of one device shows; asked for every two seconds. */

import { complete, type Asic, type Info, type Status } from "../lib/api";
import type { Mark, Point } from "../lib/drawing";
import { happened } from "../lib/happenings";
import { problems, type Problem } from "../lib/problems";
import { currentRate } from "../lib/rates";
import { counted, lately } from "../lib/shares";
import { ask, inWords, NotThere, type DeviceHistory, type Effect, type Entry, type Row, type Rule } from "./api";
import { fleet } from "./fleet.svelte";
import { totals } from "./totals.svelte";
import { inTurn, repeat } from "./turns";
import { device as texts } from "$texts";

const EVERY_MS = 2000;
const RULES_EVERY_MS = 10_000;
/** Between points of the history, of device time. Source: EVERY_S of fleet/device_histories.py. */
const POINT_S = 60;
/** Points of this page's own looks: half an hour of them. */
const MOST_LOOKS = 900;
const MOST_LINES = 500;
const MOST_ENTRIES = 20;
const MOST_MARKS = 100;
/** In which restarts count as a loop. */
const LOOP_S = 300;

interface Found {
  row: Row;
  info: Record<string, unknown>;
  status: Status;
}

interface Look {
  now: number;
  uptime: number;
  values: (number | null)[];
}

/** The quantities of a look, as the charts have them; what a chip that is off tells is unknown. */
const valuesOf = (rate: number | null, power: number | null, temp: number | null, vr: number | null, fan: number | null): Look["values"] => [
  rate,
  power,
  temp !== null && temp > 0 ? temp : null,
  vr !== null && vr > 0 ? vr : null,
  fan,
];

export class Watch {
  readonly id: string;
  found = $state.raw<Found>();
  info = $state.raw<Info>();
  rules = $state.raw<Rule[]>([]);
  effects = $state.raw<Effect[]>([]);
  entries = $state.raw<Entry[]>([]);
  lines = $state.raw<{ id: number; text: string }[]>([]);
  /** Nothing new is added to the log while somebody reads. */
  isHeld = $state(false);
  /** There is no such device. */
  isUnknown = $state(false);
  failed = $state("");
  private history = $state.raw<Look[]>([]);
  private looks = $state.raw<Look[]>([]);
  private seen = $state.raw<{ now: number; kind: Mark["kind"]; label: string }[]>([]);
  private counts = $state.raw<ReturnType<typeof counted>>([]);
  private position = 0;
  private count = 0;
  private lastEntry = 0;
  private rulesAt = Number.NEGATIVE_INFINITY;
  private historyAt = Number.NEGATIVE_INFINITY;

  constructor(id: string) {
    this.id = id;
  }

  private get path(): string {
    return `/control/devices/${encodeURIComponent(this.id)}`;
  }

  /** Look again and again, until the answer is called. */
  open(): () => void {
    return repeat(async () => {
      if (!document.hidden) await this.look();
    }, EVERY_MS);
  }

  /** Look at once. */
  look = inTurn(async () => {
    try {
      await Promise.all([this.lookAtDevice(), this.lookAtRequests(), this.lookAtLog()]);
      await Promise.all([this.lookAtFaults(), this.lookAtHistory()]);
      this.failed = "";
      this.isUnknown = false;
    } catch (error) {
      if (error instanceof NotThere) this.isUnknown = true;
      else this.failed = inWords(error);
    }
  });

  private async lookAtDevice(): Promise<void> {
    const found = await ask<Found>("GET", this.path);
    const { row } = found;
    const info = complete(found.info);
    const now = this.nowOf(found);
    if (this.looks.length && now < (this.looks.at(-1)?.now ?? 0)) {
      this.looks = []; // time was set back
      this.seen = [];
      this.historyAt = Number.NEGATIVE_INFINITY;
    } else if (this.info) {
      const news = happened(this.info, info).map((one) => ({ ...one, now }));
      if (news.length) this.seen = [...this.seen, ...news].slice(-MOST_MARKS);
    }
    this.counts = counted(this.counts, { uptime: row.uptimeSeconds, accepted: row.sharesAccepted, rejected: row.sharesRejected });
    const look = { now, uptime: row.uptimeSeconds, values: valuesOf(currentRate(info, found.status), row.power, row.temp, row.vrTemp, row.fanspeed) };
    if (now !== this.looks.at(-1)?.now) this.looks = [...this.looks, look].slice(-MOST_LOOKS);
    this.found = found;
    this.info = info;
  }

  /** Device time then: it has started a second after its boot. */
  private nowOf({ row, status }: Found): number {
    return row.startedAt + status.bootMs / 1000 - 1;
  }

  /** Its rules change seldom, and the row names those at work on it. */
  private async lookAtFaults(): Promise<void> {
    const isKnown = this.found?.row.faults.every((id) => this.rules.some((rule) => rule.id === id));
    if (isKnown && performance.now() - this.rulesAt < RULES_EVERY_MS) return;
    this.rulesAt = performance.now();
    const { faults, effects } = await ask<{ faults: Rule[]; effects: Effect[] }>("GET", "/control/faults");
    this.rules = faults;
    if (effects.length !== this.effects.length) this.effects = effects;
  }

  private async lookAtRequests(): Promise<void> {
    const query = `device=${encodeURIComponent(this.id)}&limit=${MOST_ENTRIES}`;
    const found = await ask<{ entries: Entry[]; last: number }>("GET", `/control/journal?after=${this.lastEntry}&${query}`);
    const isAnother = found.last < this.lastEntry; // the fleet is: its numbers begin anew
    this.lastEntry = isAnother ? 0 : found.last;
    if (isAnother) this.entries = [];
    else if (found.entries.length) this.entries = [...found.entries.reverse(), ...this.entries].slice(0, MOST_ENTRIES);
  }

  private async lookAtLog(): Promise<void> {
    if (this.isHeld) return;
    const found = await ask<{ lines: string[]; last: number }>("GET", `${this.path}/log?after=${this.position}`);
    const isAnother = found.last < this.position; // of the device as it was before
    this.position = found.last;
    if (!found.lines.length) return;
    const lines = found.lines.map((text) => ({ id: ++this.count, text }));
    this.lines = [...(isAnother ? [] : this.lines), ...lines].slice(-MOST_LINES);
  }

  private async lookAtHistory(): Promise<void> {
    const now = this.looks.at(-1)?.now ?? 0;
    if (now < this.historyAt + POINT_S) return;
    const { now: times, hashRate, power, temp, vrTemp, fanspeed, uptimeSeconds } = await ask<DeviceHistory>("GET", `${this.path}/history`);
    this.historyAt = now;
    const at = (list: (number | null)[], index: number): number | null => list[index] ?? null;
    this.history = times.map((time, index) => ({
      now: time,
      uptime: at(uptimeSeconds, index) ?? 0,
      values: valuesOf(at(hashRate, index), at(power, index), at(temp, index), at(vrTemp, index), at(fanspeed, index)),
    }));
  }

  // For the charts

  private readonly boots = $derived.by(() => {
    const all = [...this.history, ...this.looks].sort((one, other) => one.now - other.now);
    let boot = 0;
    return all.map((look, index) => {
      if (index && look.uptime < (all[index - 1]?.uptime ?? 0)) boot += 1;
      return { ...look, boot };
    });
  });

  readonly points = $derived(
    this.boots.map(({ now, boot, values }): Point => ({ time: totals.zero + now, uptime: now, boot: String(boot), values })),
  );

  /** In GH/s, as far as what the device tells can be true; null for unknown. */
  readonly rate = $derived(this.info && this.found ? currentRate(this.info, this.found.status) : null);

  readonly latest = $derived(this.looks.at(-1)?.values);

  readonly gapS = $derived(2.5 * Math.max(POINT_S, (EVERY_MS / 1000) * (fleet.sums?.speed ?? 1)));

  readonly marks = $derived.by((): Mark[] => {
    const restarts = this.boots
      .filter(({ boot }, index) => index && boot !== this.boots[index - 1]?.boot)
      .map(({ now, uptime }) => ({ now: now - uptime, kind: "restart" as const, label: "" }));
    const begun = this.active.map((rule) => ({ now: rule.begins_at, kind: "fault" as const, label: texts.added(this.inWords(rule.effect)) }));
    return [...restarts, ...begun, ...this.seen].map(({ now, kind, label }) => ({ time: totals.zero + now, kind, label }));
  });

  // In words

  /** The rules at work on it. */
  readonly active = $derived(this.rules.filter((rule) => this.found?.row.faults.includes(rule.id)));

  inWords(effect: string): string {
    return this.effects.find((one) => one.name === effect)?.help ?? effect;
  }

  readonly problems = $derived.by((): Problem[] => {
    const { found, info } = this;
    if (!found || !info || found.row.state === "away") return [];
    const now = this.nowOf(found);
    const restarts = this.marks.filter(({ kind, time }) => kind === "restart" && time > totals.zero + now - LOOP_S).length;
    const asic = { asicCount: info.hashrateMonitor?.asics.length ?? 1 } as Asic;
    return problems(info, found.status, asic, { shares: lately(this.counts), restarts });
  });
}
