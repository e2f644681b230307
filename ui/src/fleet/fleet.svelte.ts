/** What the page knows of the fleet; asked for every two seconds, and only what is shown. */

import { ask, inWords, type Advance, type History, type Ordered, type Row, type Rows, type Rule, type Sums } from "./api";
import { duration } from "../lib/format";
import type { Action } from "./code";
import { rowsPath, updated } from "./rows";
import { fleetAnswers as words } from "$texts";
import { inTurn, repeat } from "./turns";

const EVERY_MS = 2000;
/** Where only the devices' names are shown. */
const NAMES_EVERY_MS = 10_000;
/** Between points of the history, of device time. Source: HISTORY_S of fleet/rows.py. */
const POINT_S = 10;
/** Between two looks at how far skipped time is. */
const SKIP_MS = 250;
/** So long what went well stays on the page. */
const NOTICE_MS = 8000;
/** Of the things done here, for copying. */
const MOST_ACTIONS = 100;

class FleetState {
  sums = $state.raw<Sums>();
  rows = $state.raw<Row[]>([]);
  history = $state.raw<History>();
  /** Why nothing is known; empty while all is well. */
  lost = $state("");
  /** The last word on what was asked for. */
  notice = $state("");
  isBad = $state(false);
  isBusy = $state(false);
  /** How far skipped time is, and where it began; undefined when none is. */
  skip = $state.raw<Advance & { from: number }>();
  /** What was done here and went well, oldest first. */
  actions = $state.raw<Action[]>([]);
  /** What the notice is about, if anything was done. */
  last = $state.raw<Action>();
  /** Name of the page that is looked at. */
  page = "";
  #revision = "0";
  #rowsAt = Number.NEGATIVE_INFINITY;
  #leaving: ReturnType<typeof setTimeout> | undefined;

  start(): void {
    repeat(async () => {
      if (!document.hidden) await this.look();
    }, EVERY_MS);
    document.addEventListener("visibilitychange", () => {
      if (!document.hidden) void this.look();
    });
  }

  /** Ask again at once. */
  look = inTurn(() => this.ask());

  /** Go to a page; what was said on the last one stays there. */
  goTo(page: string): void {
    if (this.page && page !== this.page) this.say("");
    this.page = page;
    void this.look();
  }

  /** Do something, say how it went, and look again; true when it went well. */
  async run<T>(work: () => Promise<T>, done: string | ((found: T) => string) = "", refused?: (text: string) => void): Promise<boolean> {
    this.isBusy = true;
    try {
      const found = await work();
      this.say(typeof done === "string" ? done : done(found));
      return true;
    } catch (error) {
      if (refused) refused(inWords(error));
      else this.say(inWords(error), true);
      return false;
    } finally {
      this.isBusy = false;
      await this.look();
    }
  }

  /** Ask for a change and remember it, to be copied as code; otherwise as `run`. */
  async order<T>(
    method: string,
    path: string,
    body?: unknown,
    done: string | ((found: T) => string) = "",
    refused?: (text: string) => void,
  ): Promise<boolean> {
    const now = this.sums?.now ?? 0;
    let made: Action | undefined;
    const isDone = await this.run(
      async () => {
        const found = await ask<T>(method, path, body);
        made = { method, path, now, ...(body === undefined ? {} : { body: { ...body, ...this.became(method, path, found) } }) };
        return found;
      },
      (found) => {
        const { devices } = (made?.body ?? {}) as { devices?: unknown[] };
        if (made && devices?.length !== 0) this.remember(made);
        else made = undefined; // all have refused
        return typeof done === "string" ? done : done(found);
      },
      refused,
    );
    if (made && this.notice) this.last = made;
    return isDone;
  }

  /** What of an order is known only by its answer: a fault's id, by which it is taken back, and who has not refused. */
  private became(method: string, path: string, found: unknown): Record<string, unknown> {
    if (path === "/control/faults" && method === "POST") return { id: (found as Rule).id };
    return path === "/control/devices/orders" ? { devices: (found as Ordered).done } : {};
  }

  /** Let device time pass, and tell meanwhile how far it is. */
  async skipAhead(asked: { seconds: number } | { until: number }, done: string): Promise<void> {
    const action = { method: "POST", path: "/control/clock/advance", body: asked, now: this.sums?.now ?? 0 };
    const isDone = await this.run(async () => {
      try {
        let job = await ask<Advance>("POST", action.path, { ...asked, wait: false });
        const from = job.now;
        while (!job.done) {
          this.skip = { ...job, from };
          await new Promise((resolve) => setTimeout(resolve, SKIP_MS));
          job = await ask<Advance>("GET", `/control/clock/advances/${job.id}`);
        }
        if (job.error) throw new Error(words.cutShort(duration(job.now - from), job.error));
        this.remember(action);
      } finally {
        this.skip = undefined;
      }
    }, done);
    if (isDone && this.notice) this.last = action;
  }

  /** End what is being skipped; the time stays where it is. */
  async stopSkip(): Promise<void> {
    if (this.skip) await ask("DELETE", `/control/clock/advances/${this.skip.id}`);
  }

  private remember(action: Action): void {
    this.actions = [...this.actions, action].slice(-MOST_ACTIONS);
  }

  say(text: string, isBad = false): void {
    this.notice = text;
    this.isBad = isBad;
    this.last = undefined;
    this.leaveSoon();
  }

  /** What was done has not done all that was wanted: its notice stays, with its code. */
  warn(): void {
    this.isBad = true;
    this.stay();
  }

  /** Let a notice stay, while somebody reads it or copies from it. */
  stay(): void {
    clearTimeout(this.#leaving);
  }

  leaveSoon(): void {
    this.stay();
    if (this.notice && !this.isBad) this.#leaving = setTimeout(() => this.say(""), NOTICE_MS);
  }

  private async ask(): Promise<void> {
    try {
      const [sums, rows, history] = await Promise.all([
        ask<Sums>("GET", "/control/fleet"),
        this.needsRows() ? ask<Rows>("GET", rowsPath(this.#revision)) : undefined,
        this.needsHistory() ? ask<History>("GET", "/control/history") : undefined,
      ]);
      this.sums = sums;
      if (rows) {
        this.rows = updated(this.rows, rows, sums.now);
        this.#revision = rows.revision;
        this.#rowsAt = performance.now();
      }
      if (history) this.history = history;
      this.lost = "";
    } catch (error) {
      this.lost = inWords(error);
    }
  }

  private needsRows(): boolean {
    const page = this.page.split("/")[0] ?? "";
    if (this.page === "devices") return true;
    if (!["devices", "pool", "faults", "journal"].includes(page)) return false;
    if (this.rows.length !== this.sums?.devices) return true;
    return page !== "devices" && performance.now() - this.#rowsAt > NAMES_EVERY_MS;
  }

  /** Whether there can be a new point; time may also have been set back. */
  private needsHistory(): boolean {
    if (!this.page.startsWith("devices")) return false;
    const last = this.history?.now.at(-1);
    const now = this.sums?.now;
    return last === undefined || now === undefined || now < last || now >= last + POINT_S;
  }
}

export const fleet = new FleetState();
