/** The devices' rows, kept up to date by what is new in them. */

import type { Row, Rows } from "./api";

/** All but what follows from others, and would make each row new at each look. */
const FIELDS: (keyof Row)[] = [
  "group",
  "board",
  "family",
  "firmware",
  "url",
  "hostname",
  "macAddr",
  "state",
  "canPause",
  "pool",
  "frequency",
  "coreVoltage",
  "hashRate",
  "expectedHashrate",
  "power",
  "temp",
  "vrTemp",
  "fanspeed",
  "sharesAccepted",
  "sharesRejected",
  "bestDiff",
  "isUsingFallbackStratum",
  "rssi",
  "startedAt",
  "faults",
  "effects",
];

/** Where to ask for what is new since a revision; of "0" for all. */
export const rowsPath = (since: string): string => `/control/devices?since=${since}&fields=${FIELDS.join()}`;

/** The rows with what is new in them.
 *
 * A row in which nothing is new stays the same object, so that what shows it need not be drawn again.
 */
export function updated(rows: Row[], found: Rows, now: number): Row[] {
  const told = new Map(found.devices.map((row) => [row.id, row]));
  if (found.since !== null) {
    const gone = new Set(found.removed);
    const there = new Set(rows.map((row) => row.id));
    const stays = rows.filter((row) => !gone.has(row.id));
    return [...stays, ...found.devices.filter((row) => !there.has(row.id))].map((row) => whole(row, told.get(row.id), now));
  }
  return found.devices.map((row) => whole(row, row, now));
}

function whole(row: Partial<Row>, news: Partial<Row> | undefined, now: number): Row {
  const uptimeSeconds = Math.max(0, Math.floor(now - (news?.startedAt ?? row.startedAt ?? now)));
  if (!news && row.uptimeSeconds === uptimeSeconds) return row as Row;
  const made = { ...row, ...news, uptimeSeconds } as Row;
  // Of real work's rates, some 1e-5 GH/s, none is told.
  made.efficiency = made.hashRate > 1 ? (made.power / made.hashRate) * 1000 : null;
  return made;
}
