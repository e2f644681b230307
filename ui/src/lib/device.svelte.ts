/** The device as the page knows it: polled, with what it was like before. */

import { act, inWords, read, readInfo, type Asic, type Info, type Statistics, type Status } from "./api";
import { notices } from "$texts";
import { happened } from "./happenings";
import { History, type Sample } from "./history";
import { logs } from "./logs.svelte";
import type { Past, Tone } from "./problems";
import { CORE_VOLTAGE, QUANTITIES, type Value } from "./quantities";
import { counted, lately } from "./shares";

const POLL_MS = 5000;
const AWAY_POLL_MS = 1000;
const LEAST_GAP_S = 150;
/** Good news goes by itself. */
const NOTICE_MS = 8000;
const RESTARTS_S = 300;
const TIMESTAMP = "timestamp";
/** With less on its core a chip is off. */
const LEAST_CORE_MV = 100;

interface Notice {
  tone: Tone;
  text: string;
}

type Verdict = (info: Info) => Notice;

const BACK: Notice = { tone: "good", text: "" };

class Device {
  info = $state.raw<Info>();
  asic = $state.raw<Asic>();
  status = $state.raw<Status>();
  /** Why there is no news; empty while there is. */
  lost = $state("");
  /** What the device is on its way back from. */
  comingBack = $state("");
  /** Said once, politely. */
  notice = $state.raw<Notice>();
  past = $state.raw<Past>({ shares: { accepted: 0, rejected: 0 }, restarts: 0 });
  /** Grows with every new sample. */
  revision = $state(0);
  history = new History();
  /** Keys of the quantities that this version keeps statistics of. */
  offered = $state.raw<string[]>([]);
  private timer = 0;
  private polls = 0;
  private askedAt = 0;
  private counts: Parameters<typeof counted>[0] = [];
  private noticeTimer = 0;
  private verdict: Verdict = () => BACK;

  start(): void {
    void this.poll();
    document.addEventListener("visibilitychange", () => {
      if (!document.hidden) void this.poll();
    });
    addEventListener("pagehide", () => this.history.save());
  }

  /** Ask now, and again later. */
  async poll(): Promise<void> {
    clearTimeout(this.timer);
    const poll = ++this.polls;
    try {
      const first = readInfo();
      const [before, status] = await Promise.all([first, read<Status>("/softaxe/status.json")]);
      let info = before;
      if (status.boot !== this.status?.boot) {
        // The first answer may be of the time before, and another device have the address.
        if (this.status) info = await readInfo();
        this.asic = await read<Asic>("/api/system/asic");
      }
      if (poll === this.polls) await this.take(info, status);
    } catch (error) {
      if (poll === this.polls) this.miss(error);
    }
    if (poll !== this.polls) return;
    const isAway = this.lost || this.comingBack;
    this.timer = setTimeout(() => void this.poll(), isAway ? AWAY_POLL_MS : POLL_MS);
  }

  /** Restart the device and wait until it is back. */
  async restart(cause = notices.restart): Promise<void> {
    this.expectBack(cause);
    try {
      await act("restart");
    } catch (error) {
      this.comingBack = "";
      this.say({ tone: "bad", text: inWords(error) });
    }
    void this.poll();
  }

  /** Let it do something that leaves it there, and look what came of it. */
  async order(action: "pause" | "resume" | "blockFound/dismiss"): Promise<void> {
    try {
      this.say({ tone: "good", text: await act(action) });
    } catch (error) {
      this.say({ tone: "bad", text: inWords(error) });
    }
    await this.poll();
  }

  /** Expect the device to go away and come back, and to be told what `verdict` makes of it. */
  expectBack(cause: string, verdict: Verdict = () => BACK): void {
    this.comingBack = cause;
    this.verdict = verdict;
    this.askedAt = Date.now();
    this.notice = undefined;
  }

  private say(notice: Notice, passes = notice.tone === "good"): void {
    this.notice = notice;
    clearTimeout(this.noticeTimer);
    if (passes) this.noticeTimer = setTimeout(() => (this.notice = undefined), NOTICE_MS);
  }

  /** Device seconds without a sample that break a chart's line. */
  get gapS(): number {
    const interval = Math.max(this.info?.statsFrequency ?? 0, (POLL_MS / 1000) * (this.status?.speed ?? 1));
    return Math.max(LEAST_GAP_S, 2.5 * interval);
  }

  private async take(info: Info, status: Status): Promise<void> {
    const before = this.status;
    const isNew = before !== undefined && status.boot !== before.boot;
    if (isNew || this.lost) logs.renew();
    if (this.comingBack && isNew) {
      const waited = Math.round((Date.now() - this.askedAt) / 1000);
      const { tone, text } = this.verdict(info);
      this.say({ tone, text: notices.back(waited, text) });
      this.comingBack = "";
    } else if (isNew && !this.comingBack) {
      this.say({ tone: "warn", text: notices.restarted(info.resetReason) }, true);
    } else if (this.lost && before) {
      this.say({ tone: "good", text: notices.again });
    }
    this.lost = "";
    const last = this.info;
    this.info = info;
    this.status = status;
    await this.remember(info, status, before?.boot !== status.boot);
    if (last && last.macAddr === info.macAddr) {
      const uptime = status.bootMs / 1000;
      this.history.note(happened(last, info).map((one) => ({ ...one, uptime })));
    }
    this.counts = counted(isNew ? [] : this.counts, {
      uptime: status.bootMs / 1000,
      accepted: info.sharesAccepted,
      rejected: info.sharesRejected,
    });
    this.past = { shares: lately(this.counts), restarts: this.history.restarts(RESTARTS_S) };
    this.revision += 1;
  }

  private async remember(info: Info, status: Status, isFirst: boolean): Promise<void> {
    const uptime = status.bootMs / 1000;
    this.history.open(info.macAddr);
    const since = uptime - (this.history.last(status.boot) ?? -Infinity);
    const hasMore = info.statsFrequency > 0 && since > 2 * info.statsFrequency;
    const found = isFirst || hasMore ? await recorded(info) : undefined;
    if (found) this.offered = found.offered;
    const samples = [...(found?.samples ?? []), sample(info, status)];
    this.history.merge(status.boot, uptime, samples, { speed: status.speed, cause: info.resetReason });
  }

  private miss(error: unknown): void {
    this.lost = inWords(error);
  }
}

function sample(info: Info, status: Status): Sample {
  return { uptime: status.bootMs / 1000, values: QUANTITIES.map(({ now }) => now(info, status)) };
}

/** What the device keeps statistics of, and the samples that it took itself. */
async function recorded(info: Info): Promise<{ offered: string[]; samples: Sample[] }> {
  const asked = [...QUANTITIES.flatMap(({ columns }) => columns), TIMESTAMP].join(",");
  const { labels, statistics } = await read<Statistics>(`/api/system/statistics?columns=${asked}`);
  const places = QUANTITIES.map(({ columns }) => labels.findIndex((label) => columns.includes(label)));
  const core = places[QUANTITIES.findIndex(({ key }) => key === CORE_VOLTAGE)] ?? -1;
  const time = labels.indexOf(TIMESTAMP);
  const samples = statistics.map((row) => {
    const isOn = (row[core] ?? 0) > LEAST_CORE_MV;
    const values = QUANTITIES.map(({ recorded }, index): Value => {
      const value = row[places[index] ?? -1] ?? null;
      return value === null || !recorded ? value : recorded(value, isOn, info);
    });
    return { uptime: (row[time] ?? 0) / 1000, values };
  });
  return { offered: QUANTITIES.filter((_, index) => (places[index] ?? -1) >= 0).map(({ key }) => key), samples };
}

export const device = new Device();
