/** What the table of devices shows: which rows, in what order, and how that stands in an address. */

import type { Row } from "./api";

export interface View {
  search: string;
  group: string;
  state: string;
  firmware: string;
  /** A column's name; empty for the fleet's own order. */
  sort: string;
  isDown: boolean;
  /** Names of the columns that are shown; none for the usual ones. */
  columns: string[];
}

export const everything = (): View => ({ search: "", group: "", state: "", firmware: "", sort: "", isDown: false, columns: [] });

/** So that 2.9 comes before 2.15. */
export const inOrder = (version: string): string => version.replace(/\d+/g, (digits) => digits.padStart(6, "0"));

/** Refused shares, in percent of those that were answered; null before the first. */
export function rejectPercent(row: Row): number | null {
  const answered = row.sharesAccepted + row.sharesRejected;
  return answered ? (100 * row.sharesRejected) / answered : null;
}

export function chosen(rows: Row[], view: View): Row[] {
  const words = view.search.toLowerCase().split(/\s+/).filter(Boolean);
  return rows.filter((row) => {
    if ((view.group && row.group !== view.group) || (view.state && row.state !== view.state) || (view.firmware && row.firmware !== view.firmware))
      return false;
    const { id, hostname, url, macAddr, group, board, family, firmware, state, faults, effects } = row;
    const text = [id, hostname, url, macAddr, group, board, family, firmware, state, ...faults, ...effects].join(" ").toLowerCase();
    return words.every((word) => text.includes(word));
  });
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

export function fromQuery(text: string): View {
  const query = new URLSearchParams(text);
  const told = (name: string): string => query.get(name) ?? "";
  const sort = told("sort");
  return {
    search: told("search"),
    group: told("group"),
    state: told("state"),
    firmware: told("firmware"),
    sort: sort.replace(/^-/, ""),
    isDown: sort.startsWith("-"),
    columns: told("columns").split(" ").filter(Boolean),
  };
}

/** True for a name that a pattern with `*`, `?` and `[...]` means, as the control API reads it. */
export function isLike(name: string, pattern: string): boolean {
  const text = pattern.replace(/\[(!?)(\]?[^\]]*)\]|[\s\S]/g, (part: string, not: string | undefined, letters: string | undefined) => {
    if (letters !== undefined) return `[${not ? "^" : ""}${letters.replace(/[\\\]^]/g, "\\$&")}]`;
    if (part === "*") return "[\\s\\S]*";
    return part === "?" ? "[\\s\\S]" : part.replace(/[.+^${}()|[\]\\]/g, "\\$&");
  });
  return new RegExp(`^${text}$`).test(name);
}

/** The devices that a rule names, whatever its share; a part that it breaks may be missing on some. */
export function named(rows: Row[], rule: { device?: string; group?: string; firmware?: string }): Row[] {
  const wanted = (rule.device || "*").toLowerCase();
  return rows.filter((row) => {
    const names = [row.id, row.hostname, new URL(row.url).hostname, new URL(row.url).host, row.macAddr];
    return (
      names.some((name) => isLike(name.toLowerCase(), wanted)) &&
      isLike(row.group, rule.group || "*") &&
      isLike(row.firmware, rule.firmware || "*")
    );
  });
}
