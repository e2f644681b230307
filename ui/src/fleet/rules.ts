/** Fault rules as the form writes them and the list shows them. */

import type { Effect, Preset, Rule } from "./api";

export type Order = Record<string, unknown>;
/** What a person has typed, by the names of the members; those without are not ordered. */
export type Typed = Record<string, string>;

/** Members that every rule can have, in the form's order. */
export const WHOM = ["device", "group", "firmware", "share", "probability"] as const;
export const WHEN = ["start_s", "duration_s", "every_s"] as const;
export const OF_REQUESTS = ["route", "method", "count"] as const;
/** An empty text that is meant, as it is typed. */
const EMPTY = '""';
const NUMBERS = new Set<string>(["share", "probability", "count", ...WHEN]);
/** Told of a rule beside what was ordered. */
const TOLD = new Set(["begins_at", "ends_at", "changes_at", "active", "matches", "strangers", "devices"]);

/** One pattern of devices, or several with commas between them. */
function patterns(text: string): string | string[] | undefined {
  const found = text
    .split(",")
    .map((one) => one.trim())
    .filter(Boolean);
  return found.length > 1 ? found : found[0];
}

/** The table that is typed; what is no JSON stays a text, of which the API complains. */
function table(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}

/** The rule that is typed; what an effect does not know is left out. */
export function orderOf(effect: Effect, typed: Typed): Order {
  const kinds = new Map<string, string>(effect.parameters.map((one) => [one.name, one.kind]));
  const names = [...effect.parameters.map((one) => one.name), ...WHOM, ...WHEN, ...(effect.of_requests ? OF_REQUESTS : [])];
  const order: Order = { effect: effect.name };
  for (const name of names) {
    const text = String(typed[name] ?? "").trim();
    if (!text) continue;
    const kind = kinds.get(name) ?? (name === "device" ? "names" : NUMBERS.has(name) ? "number" : "text");
    const value = kind === "names" ? patterns(text) : kind === "table" ? table(text) : kind === "number" ? Number(text) : text === EMPTY ? "" : text;
    if (value !== undefined) order[name] = value;
  }
  return order;
}

/** What would be typed for an order. */
export const typedOf = (order: Order): Typed =>
  Object.fromEntries(Object.entries(order).map(([name, value]) => [name, asTyped(value)]));

/** How a form or a sentence has a value: nothing for what was not given, `""` for an empty text. */
export function asTyped(value: unknown): string {
  if (Array.isArray(value)) return value.join(", ");
  if (value === null || value === undefined) return "";
  if (value === "") return EMPTY;
  if (typeof value !== "object") return String(value);
  return Object.keys(value).length ? JSON.stringify(value) : "";
}

/** What was ordered, of what is told of a rule. */
export const orderedOf = (rule: Rule): Order =>
  Object.fromEntries(Object.entries(rule).filter(([name, value]) => !TOLD.has(name) && asTyped(value)));

/** What makes one order of another; null for what is to be as if it were not ordered. */
export function changesOf(before: Order, after: Order): Order {
  const names = new Set([...Object.keys(before), ...Object.keys(after)]);
  const fixed = new Set(["id", "effect", "paused"]);
  const same = (name: string): boolean => JSON.stringify(before[name]) === JSON.stringify(after[name]);
  return Object.fromEntries([...names].filter((name) => !fixed.has(name) && !same(name)).map((name) => [name, after[name] ?? null]));
}

/** Effects that every word is said of, in their description or in the name of a common trouble. */
export function effectsLike(effects: Effect[], presets: Preset[], search: string): Effect[] {
  const words = search.toLowerCase().split(/\s+/).filter(Boolean);
  return effects.filter((effect) => {
    const troubles = presets.filter((one) => one.rule.effect === effect.name).map((one) => one.name);
    const told = effect.parameters.flatMap((one) => [one.name, one.help, ...one.choices]);
    const text = [effect.name, effect.help, effect.area, ...told, ...troubles].join(" ").toLowerCase();
    return words.every((word) => text.includes(word));
  });
}

const KEPT = "softaxe-fault-presets";
const MOST = 50;

/** The presets that were saved in this browser. */
export function ownPresets(): Preset[] {
  try {
    const found: unknown = JSON.parse(localStorage.getItem(KEPT) ?? "[]");
    if (!Array.isArray(found)) return [];
    return (found as Preset[]).filter((one) => typeof one?.name === "string" && typeof one?.rule?.effect === "string");
  } catch {
    return []; // no storage, or somebody else's
  }
}

/** Save presets, the latest first. */
export function keepPresets(presets: Preset[]): Preset[] {
  const kept = presets.slice(0, MOST);
  localStorage.setItem(KEPT, JSON.stringify(kept));
  return kept;
}

/** A rule's time on an axis: where each of its turns begins and ends, from 0 to 1. */
export function turns(rule: Rule, from: number, to: number): [number, number][] {
  const place = (at: number): number => Math.min(1, Math.max(0, (at - from) / (to - from)));
  const every = Number(rule.every_s ?? 0);
  const length = rule.duration_s === undefined ? Infinity : Number(rule.duration_s);
  const found: [number, number][] = [];
  const first = every ? Math.max(0, Math.floor((from - rule.begins_at) / every)) : 0;
  for (let turn = first; found.length < 200; turn += 1) {
    const begin = rule.begins_at + turn * every;
    if (begin >= to && (turn || begin > to)) break;
    if (begin + length > from) found.push([place(begin), place(begin + length)]);
    if (!every) break;
  }
  return found;
}

/** The time that a time line of the rules shows: all beginnings and ends, and a bit more. */
export function span(rules: Rule[], now: number): [number, number] {
  const ends = rules.flatMap((rule) => [rule.ends_at ?? rule.changes_at ?? rule.begins_at, rule.begins_at]);
  const from = Math.min(now, ...rules.map((rule) => rule.begins_at));
  const to = Math.max(now, ...ends);
  const spare = Math.max(5, (to - from) * 0.08);
  return [from, to + spare];
}
