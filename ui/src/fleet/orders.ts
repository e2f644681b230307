/** What several devices are ordered to do. */

import { orders as texts } from "$texts";
import type { Ordered } from "./api";
import { fleet } from "./fleet.svelte";

export type Order = "restart" | "identify" | "pause" | "resume" | "press" | "hold" | "remove";

/** Order it; those that refuse are told, with the reason of the first. */
export async function orderDevices(order: Order, devices: string[]): Promise<void> {
  let refused: Ordered["refused"] = {};
  const done = (found: Ordered): string => {
    refused = found.refused;
    const said = found.done.length ? texts.done[order](found.done.length, found.done[0] ?? "") : "";
    const [first] = Object.entries(refused);
    return first ? `${said} ${texts.refused(Object.keys(refused).length, ...first)}`.trim() : said;
  };
  await fleet.order("POST", "/control/devices/orders", { order, devices }, done);
  if (Object.keys(refused).length) fleet.warn();
}
