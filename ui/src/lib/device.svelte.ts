/** The device as the page knows it: polled, with what it was like before. */

import { act, read, Refused, type Asic, type Info, type Statistics, type Status } from "./api";
import { History, type Sample } from "./history";

const POLL_MS = 5000;
const AWAY_POLL_MS = 1000;
const COLUMNS = "hashrate,asicTemp,vrTemp,power,fanSpeed";

class Device {
  info = $state.raw<Info>();
  asic = $state.raw<Asic>();
  status = $state.raw<Status>();
  /** Why there is no news; empty while there is. */
  lost = $state("");
  /** What the device is on its way back from. */
  comingBack = $state("");
  /** Said once, politely. */
  notice = $state("");
  /** Settings changed since the device started that it reads only then. */
  waiting = $state.raw<string[]>([]);
  /** Grows with every new sample. */
  revision = $state(0);
  history = new History();
  private timer = 0;
  private polls = 0;
  private wasAway = false;
  private askedAt = 0;

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
      const [info, status] = await Promise.all([
        read<Info>("/api/system/info"),
        read<Status>("/softaxe/status.json"),
      ]);
      if (!this.asic) this.asic = await read<Asic>("/api/system/asic");
      if (poll === this.polls) await this.take(info, status);
    } catch (error) {
      if (poll === this.polls) this.miss(error);
    }
    if (poll !== this.polls) return;
    const isAway = this.lost || this.comingBack;
    this.timer = setTimeout(() => void this.poll(), isAway ? AWAY_POLL_MS : POLL_MS);
  }

  /** Restart the device and wait until it is back. */
  async restart(): Promise<void> {
    this.await_("restart");
    try {
      await act("restart");
    } catch (error) {
      this.comingBack = "";
      this.notice = error instanceof Refused ? error.message : "The device does not answer.";
    }
    void this.poll();
  }

  /** Expect the device to go away and come back. */
  await_(cause: string): void {
    this.comingBack = cause;
    this.wasAway = false;
    this.askedAt = Date.now();
    this.notice = "";
  }

  /** Seconds of the wait so far. */
  waited(): number {
    return (Date.now() - this.askedAt) / 1000;
  }

  private async take(info: Info, status: Status): Promise<void> {
    const before = this.info;
    const isNew = before !== undefined && info.uptimeSeconds < before.uptimeSeconds;
    if (this.comingBack && (this.wasAway || isNew)) {
      this.notice = `The device is back after ${Math.round(this.waited())} s.`;
      this.comingBack = "";
      this.waiting = [];
    } else if (this.lost && before) {
      this.notice = "The device answers again.";
    }
    if (isNew) this.waiting = [];
    this.lost = "";
    this.info = info;
    this.status = status;
    this.history.open(info.macAddr);
    if (!before && info.statsFrequency > 0) this.history.merge(await recorded());
    this.history.add(sample(info));
    this.revision += 1;
  }

  private miss(error: unknown): void {
    this.wasAway = true;
    this.lost = error instanceof Refused ? error.message : "The device does not answer.";
  }
}

function sample(info: Info): Sample {
  return {
    time: Date.now() / 1000,
    hashrate: info.hashRate,
    temp: info.temp,
    vr: info.vrTemp,
    power: info.power,
    fan: info.fanspeed,
  };
}

/** The samples the device took itself. */
async function recorded(): Promise<Sample[]> {
  const answer = await read<Statistics>(`/api/system/statistics?columns=${COLUMNS}`);
  const column = (name: string): number => answer.labels.indexOf(name);
  const [hashrate, temp, vr, power, fan, timestamp] = [
    "hashrate",
    "asicTemp",
    "vrTemp",
    "power",
    "fanSpeed",
    "timestamp",
  ].map(column);
  const at = (row: number[], index: number | undefined): number => row[index ?? -1] ?? 0;
  const now = Date.now();
  return answer.statistics.map((row) => ({
    time: (now - answer.currentTimestamp + at(row, timestamp)) / 1000,
    hashrate: at(row, hashrate),
    temp: at(row, temp),
    vr: at(row, vr),
    power: at(row, power),
    fan: at(row, fan),
  }));
}

export const device = new Device();
