/** What the table of devices was last asked to show; kept while other pages are open. */

import { everything, fromQuery, toQuery, type View } from "./table";

const COLUMNS_KEPT = "softaxe-fleet-columns";
const ROWS_KEPT = "softaxe-fleet-compact";

export const view = $state<View>(everything());

/** How tall rows are; not in the address, because it is the reader's, not of what is shown. */
export const rows = $state({ isCompact: localStorage.getItem(ROWS_KEPT) === "true" });

/** Where the table was left: what is scrolled away, the row that the keys act on, and the ids that are selected. */
export const left = { top: 0, active: "", selected: new Set<string>() };

/** Take over what follows `#/devices?`; columns that it does not name are those chosen before. */
export function take(query: string): void {
  Object.assign(view, fromQuery(query, localStorage.getItem(COLUMNS_KEPT)?.split(" ")));
}

export function chooseColumns(names: string[]): void {
  view.columns = names;
  if (names.length) localStorage.setItem(COLUMNS_KEPT, names.join(" "));
  else localStorage.removeItem(COLUMNS_KEPT);
}

export function makeCompact(isCompact: boolean): void {
  rows.isCompact = isCompact;
  localStorage.setItem(ROWS_KEPT, String(isCompact));
}

/** Where the table is as it was looked at. */
export function address(): string {
  const query = toQuery(view);
  return query ? `#/devices?${query}` : "#/devices";
}
