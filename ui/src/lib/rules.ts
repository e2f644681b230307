/** Checks settings as the device does, by the device's own table. */

import type { Asic, Pool } from "./api";

export type Value = string | number | boolean;

/** What values there may be. */
export interface Limits {
  minimum: number;
  maximum: number;
  pattern: string | null;
  pattern_in_words: string;
  may_be_empty: boolean;
  allowed: string;
}

/** A row of the device's settings table, with what the device takes. */
export interface Rule extends Limits {
  name: string;
  description: string;
  kind: "string" | "integer" | "float" | "boolean" | "array";
  unit: string;
  choices: (string | number)[];
  /** What the API page asks for beyond that. */
  asked: Limits | null;
  effect: string;
  /** Another value than the stored one is in force until the next restart. */
  is_waiting: boolean;
  is_secret: boolean;
  value: Value | Pool[] | null;
}

export interface Rules {
  /** The API page asks for overclocking to be switched on before it is done. */
  overclock_guarded: boolean;
  /** What the page asks for is refused otherwise, not only told. */
  is_strict: boolean;
  settings: Rule[];
}

/** What stands for a value of a setting that has a code. */
export type Words = [string | number, string][];

/** Firmware before 2.15 takes 3, too, and reaches no pool by it. */
export const TLS: Words = [
  [0, "off"],
  [1, "on, by the usual authorities"],
  [2, "on, by this certificate"],
];
export const PROTOCOLS: Words = [
  ["SV1", "Stratum v1"],
  ["SV2", "Stratum v2"],
];

export const NEEDS_RESTART = "after a restart";

/** What a setting is called where there is no room for a sentence. */
export const labelOf = (rule: Rule): string => rule.description.split(/[:;]|, as /)[0] ?? rule.name;

const bytes = (text: string): number => new TextEncoder().encode(text).length;

/** Say what is wrong with a value as typed, or nothing. */
export function check(rule: Rule, value: string | boolean, limits: Limits = rule): string {
  if (typeof value === "boolean") return value && limits.maximum === 0 ? "Can only be cleared." : "";
  return rule.kind === "string" ? checkText(rule, value, limits) : checkNumber(rule, value, limits);
}

function checkText(rule: Rule, text: string, limits: Limits): string {
  if (!text && limits.may_be_empty) return "";
  if (rule.choices.length && !rule.choices.includes(text)) return `Allowed is ${limits.allowed}.`;
  const size = bytes(text);
  if (size < limits.minimum || size > limits.maximum)
    return size ? `${size} bytes; allowed is ${limits.allowed}.` : "This cannot be empty.";
  if (limits.pattern && !new RegExp(`^(?:${limits.pattern})$`, "u").test(text))
    return `Use ${limits.pattern_in_words}.`;
  return "";
}

function checkNumber(rule: Rule, text: string, limits: Limits): string {
  const value = Number(text);
  if (!text.trim() || !Number.isFinite(value)) return "This is no number.";
  if (rule.kind === "integer" && !Number.isInteger(value)) return "Only whole numbers.";
  if (rule.choices.length && !rule.choices.includes(value)) return `Allowed is ${limits.allowed}.`;
  return value < limits.minimum || value > limits.maximum ? `Allowed is ${limits.allowed}.` : "";
}

/** Say when a value outside the board's options needs overclocking switched on. */
export function checkOverclock(text: string, options: number[]): string {
  return options.includes(Number(text)) ? "" : "Outside the board's options; allow overclocking first.";
}

export function optionsOf(rule: Rule, asic: Asic | undefined): { values: number[]; normal: number } | null {
  if (!asic) return null;
  if (rule.name === "frequency") return { values: asic.frequencyOptions, normal: asic.defaultFrequency };
  if (rule.name === "coreVoltage") return { values: asic.voltageOptions, normal: asic.defaultVoltage };
  return null;
}

const OF_POOL = /^(stratum|fallbackStratum)(TLS|Cert|ExtranonceSubscribe|V2\w+)$/;

/** Whether a setting of a pool means anything, by the other values as typed. */
export function applies(name: string, typed: Record<string, string | boolean>): boolean {
  const [, pool, what = ""] = OF_POOL.exec(name) ?? [];
  if (!pool) return true;
  const isV2 = typed[`${pool}Protocol`] === "SV2";
  if (isV2 || what.startsWith("V2")) return isV2 && what.startsWith("V2");
  return what !== "Cert" || typed[`${pool}TLS`] === "2";
}

export function wordsOf(name: string): Words | null {
  if (name.endsWith("tratumTLS")) return TLS;
  return name.endsWith("tratumProtocol") ? PROTOCOLS : null;
}

/** Take a device's refusal apart: what it says of which setting, and the rest. */
export function byField(refusal: string, names: string[]): Record<string, string> {
  const found: Record<string, string> = {};
  const heads = [...refusal.matchAll(/(?:^|; )(\w+): /g)].filter(([, name]) => names.includes(name ?? ""));
  heads.forEach((head, index) => {
    const start = head.index + head[0].length;
    found[head[1] ?? ""] = refusal.slice(start, heads[index + 1]?.index);
  });
  return found;
}
