/** What the table of devices shows: which rows, in what order, and how that stands in an address. */

import type { Row } from "./api";
import { rejectShare } from "./spark";

export interface View {
  search: string;
  group: string;
  /** One, or `PROBLEMS`. */
  state: string;
  firmware: string;
  /** A column's name; empty for the fleet's own order. */
  sort: string;
  isDown: boolean;
  /** Names of the columns that are shown; none for those that fit. */
  columns: string[];
}

/** Stands for every state of which the API counts `problems`. */
export const PROBLEMS = "problems";
const WELL = new Set(["mining", "starting", "paused"]);

export const everything = (): View => ({ search: "", group: "", state: "", firmware: "", sort: "", isDown: false, columns: [] });

/** So that 2.9 comes before 2.15. */
export const inOrder = (version: string): string => version.replace(/\d+/g, (digits) => digits.padStart(6, "0"));

export const rejectPercent = (row: Row): number | null => rejectShare(row.sharesAccepted, row.sharesRejected);

export function chosen(rows: Row[], view: View): Row[] {
  const { group, state, firmware } = view;
  const words = view.search.toLowerCase().split(/\s+/).filter(Boolean);
  return rows.filter(
    (row) =>
      (!group || row.group === group) &&
      (!state || (state === PROBLEMS ? !WELL.has(row.state) : row.state === state)) &&
      (!firmware || row.firmware === firmware) &&
      (!words.length || isFound(row, words)),
  );
}

function isFound(row: Row, words: string[]): boolean {
  const { id, hostname, url, macAddr, group, board, family, firmware, state, pool, faults, effects } = row;
  const macs = `${macAddr} ${macAddr.replaceAll(":", "")} ${macAddr.replaceAll(":", "-")}`;
  const text = [id, hostname, `${url}/`, macs, group, board, family, firmware, state, pool, ...faults, ...effects].join(" ").toLowerCase();
  return words.every((word) => text.includes(word));
}

export function sorted(rows: Row[], key: (row: Row) => string | number, isDown: boolean): Row[] {
  const sign = isDown ? -1 : 1;
  const keyed = rows.map((row): [string | number, Row] => [key(row), row]);
  keyed.sort(([a], [b]) => sign * (a < b ? -1 : a > b ? 1 : 0));
  return keyed.map(([, row]) => row);
}

/** What follows `#/devices?`; empty when all is as usual. */
export function toQuery(view: View): string {
  const query = new URLSearchParams();
  for (const name of ["search", "group", "state", "firmware"] as const) if (view[name]) query.set(name, view[name]);
  if (view.sort) query.set("sort", (view.isDown ? "-" : "") + view.sort);
  if (view.columns.length) query.set("columns", view.columns.join(" "));
  return query.toString();
}

/** Columns that an address does not name are `columns`. */
export function fromQuery(text: string, columns: string[] = []): View {
  const query = new URLSearchParams(text);
  const told = (name: string): string => query.get(name) ?? "";
  const sort = told("sort");
  const named = told("columns").split(" ").filter(Boolean);
  return {
    search: told("search"),
    group: told("group"),
    state: told("state"),
    firmware: told("firmware"),
    sort: sort.replace(/^-/, ""),
    isDown: sort.startsWith("-"),
    columns: named.length ? named : columns,
  };
}

/** Ids from one row to another, both included, in the order in which they are shown. */
export function between(rows: Row[], one: string, other: string): string[] {
  const places = [one, other].map((id) => rows.findIndex((row) => row.id === id));
  const [first = 0, last = 0] = places.includes(-1) ? [Math.max(...places), Math.max(...places)] : places.sort((a, b) => a - b);
  return rows.slice(Math.max(0, first), last + 1).map((row) => row.id);
}
