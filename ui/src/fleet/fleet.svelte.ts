/** What the page knows of the fleet; asked for every two seconds. */

import { ask, inWords, type History, type Row, type Sums } from "./api";
import { inTurn, repeat } from "./turns";

const EVERY_MS = 2000;

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

  start(): void {
    repeat(async () => {
      if (!document.hidden) await this.look();
    }, EVERY_MS);
  }

  /** Ask again at once. */
  look = inTurn(() => this.ask());

  /** Do something, say how it went, and look again; true when it went well. */
  async run<T>(work: () => Promise<T>, done: string | ((found: T) => string) = ""): Promise<boolean> {
    this.isBusy = true;
    try {
      const found = await work();
      this.say(typeof done === "string" ? done : done(found));
      return true;
    } catch (error) {
      this.say(inWords(error), true);
      return false;
    } finally {
      this.isBusy = false;
      await this.look();
    }
  }

  say(text: string, isBad = false): void {
    this.notice = text;
    this.isBad = isBad;
  }

  private async ask(): Promise<void> {
    try {
      const [sums, list, history] = await Promise.all([
        ask<Sums>("GET", "/control/fleet"),
        ask<{ devices: Row[] }>("GET", "/control/devices"),
        ask<History>("GET", "/control/history"),
      ]);
      this.sums = sums;
      this.rows = list.devices;
      this.history = history;
      this.lost = "";
    } catch (error) {
      this.lost = error instanceof TypeError ? "The fleet does not answer." : inWords(error);
    }
  }
}

export const fleet = new FleetState();
