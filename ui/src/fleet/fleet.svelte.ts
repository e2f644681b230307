/** What the page knows of the fleet; asked for every two seconds, and only what is shown. */

import { ask, inWords, type History, type Row, type Sums } from "./api";
import type { Action } from "./code";
import { inTurn, repeat } from "./turns";

const EVERY_MS = 2000;
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
  /** What was done here and went well, oldest first. */
  actions = $state.raw<Action[]>([]);
  /** What the notice is about, if anything was done. */
  last = $state.raw<Action>();
  /** Name of the page that is looked at. */
  page = "";
  #leaving: ReturnType<typeof setTimeout> | undefined;

  start(): void {
    repeat(async () => {
      if (!document.hidden) await this.look();
    }, EVERY_MS);
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
        // A fault can only be taken back by its id.
        const id = path === "/control/faults" && method === "POST" ? { id: (found as { id: string }).id } : {};
        made = { method, path, now, ...(body === undefined ? {} : { body: { ...body, ...id } }) };
        return found;
      },
      (found) => {
        this.actions = [...this.actions, made as Action].slice(-MOST_ACTIONS);
        return typeof done === "string" ? done : done(found);
      },
      refused,
    );
    if (made && this.notice) this.last = made;
    return isDone;
  }

  say(text: string, isBad = false): void {
    this.notice = text;
    this.isBad = isBad;
    this.last = undefined;
    this.leaveSoon();
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
    const isTable = this.page === "devices";
    const needsNames = isTable || ((this.page === "faults" || this.page === "journal") && this.rows.length !== this.sums?.devices);
    try {
      const [sums, list, history] = await Promise.all([
        ask<Sums>("GET", "/control/fleet"),
        needsNames ? ask<{ devices: Row[] }>("GET", "/control/devices") : undefined,
        isTable ? ask<History>("GET", "/control/history") : undefined,
      ]);
      this.sums = sums;
      if (list) this.rows = list.devices;
      if (history) this.history = history;
      this.lost = "";
    } catch (error) {
      this.lost = inWords(error);
    }
  }
}

export const fleet = new FleetState();
