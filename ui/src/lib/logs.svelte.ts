/** The device's log: the last lines, also those from before the page was opened. */

import { inWords, read, readLog, type Status } from "./api";

const MOST_LINES = 1000;
const RETRY_MS = 2000;
const SHOW_MS = 200;
const LINE = /^([EWIDV]) \((\d+)\) ([^:]+): ?(.*)$/;
const RESTARTED = "--- SYSTEM RESTART ---";

export interface Line {
  id: number;
  level: string;
  /** The part of the firmware that speaks; empty where nobody is named. */
  tag: string;
  /** Since the boot, in milliseconds. */
  uptime: number | null;
  /** On our clock, in milliseconds since 1970; null where that cannot be told. */
  at: number | null;
  message: string;
  /** All of it, as it was printed but for its colour. */
  text: string;
  /** The first of another boot. */
  isNewBoot: boolean;
}

class Logs {
  lines = $state.raw<Line[]>([]);
  isConnected = $state(false);
  isPaused = $state(false);
  /** Lines that came during a pause. */
  heldCount = $state(0);
  /** Why there are none from before the page was opened; empty while there are. */
  trouble = $state("");
  private held: Line[] = [];
  /** Text and uptime of the last line that was taken, whether it is still shown or not. */
  private last = "";
  private lastUptime = 0;
  private next = 0;
  private socket: WebSocket | undefined;
  private timers: number[] = [];

  open(): void {
    this.timers.push(setInterval(() => this.show(), SHOW_MS));
    this.connect();
  }

  close(): void {
    this.timers.forEach(clearTimeout);
    this.timers = [];
    const socket = this.socket;
    this.socket = undefined;
    socket?.close();
    this.isConnected = false;
  }

  /** Connect anew, if at all: a device that was away forgets who listens, and tells nobody. */
  renew(): void {
    if (!this.timers.length) return;
    const socket = this.socket;
    this.connect();
    socket?.close();
  }

  clear(): void {
    this.lines = [];
    this.held = [];
    this.heldCount = 0;
  }

  private connect(): void {
    const scheme = location.protocol === "https:" ? "wss" : "ws";
    const socket = new WebSocket(`${scheme}://${location.host}/api/ws`);
    this.socket = socket;
    this.isConnected = false;
    const waiting: string[] = [];
    let before: Set<string> | undefined;
    const takeNew = (texts: string[]): void => {
      // What was printed while the lines before were read comes both ways.
      const first = before?.size ? texts.findIndex((text) => !before?.has(text)) : 0;
      if (first < 0 || !texts.length) return;
      before?.clear();
      this.take(texts.slice(first), () => Date.now());
    };
    socket.onopen = async () => {
      if (this.socket !== socket) return;
      this.isConnected = true;
      before = new Set(await this.readBefore());
      takeNew(waiting);
    };
    socket.onmessage = (event) => {
      const texts = plain(String(event.data));
      if (!before) waiting.push(...texts);
      else if (this.socket === socket) takeNew(texts);
    };
    socket.onclose = () => {
      if (this.socket !== socket) return;
      this.isConnected = false;
      this.timers.push(setTimeout(() => this.connect(), RETRY_MS));
    };
  }

  /** Take what was printed since the last line that is known; returns all that was printed. */
  private async readBefore(): Promise<string[]> {
    let before: string[] = [];
    let zero: number | null = null;
    try {
      const [text, status] = await Promise.all([readLog(), read<Status>("/softaxe/status.json")]);
      before = plain(text);
      // Where its time is not ours, nobody can tell when that was.
      zero = status.speed === 1 ? Date.now() - status.bootMs : null;
      this.trouble = "";
    } catch (problem) {
      this.trouble = inWords(problem);
    }
    const boot = before.findLastIndex((text, index) => text === RESTARTED || uptimeOf(text) < uptimeOf(before[index - 1]));
    const known = this.last ? before.lastIndexOf(this.last) : -1;
    const isOfThisBoot = (index: number): boolean => zero !== null && known + 1 + index >= boot;
    this.take(before.slice(known + 1), (uptime, index) => (isOfThisBoot(index) ? (zero ?? 0) + uptime : null));
    return before;
  }

  private take(texts: string[], at: (uptime: number, index: number) => number | null): void {
    texts.forEach((text, index) => {
      const [, level = "I", digits, tag = "", message = text] = LINE.exec(text) ?? [];
      const uptime = digits === undefined ? null : Number(digits);
      const isNewBoot = text === RESTARTED || (uptime !== null && uptime < this.lastUptime);
      if (uptime !== null || isNewBoot) this.lastUptime = uptime ?? 0;
      const when = uptime === null ? null : at(uptime, index);
      this.held.push({ id: this.next++, level, tag, uptime, at: when, message, text, isNewBoot });
    });
    this.last = texts.at(-1) ?? this.last;
    if (this.held.length > MOST_LINES) this.held.splice(0, this.held.length - MOST_LINES);
  }

  private show(): void {
    if (this.isPaused) {
      this.heldCount = this.held.length;
    } else if (this.held.length) {
      this.lines = [...this.lines, ...this.held].slice(-MOST_LINES);
      this.held = [];
      this.heldCount = 0;
    }
  }
}

/** Lines without their colours. */
function plain(text: string): string[] {
  // eslint-disable-next-line no-control-regex -- ESC starts a colour
  return text
    .replace(/\u001b\[[\d;]*m/g, "")
    .split("\n")
    .filter(Boolean);
}

const uptimeOf = (text: string | undefined): number => Number(LINE.exec(text ?? "")?.[2] ?? NaN);

export const logs = new Logs();
