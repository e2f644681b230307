/** Checks settings as the device does, by the device's own table. */

import type { Asic } from "./api";

export type Value = string | number | boolean;

/** A row of the device's settings table. */
export interface Rule {
  name: string;
  description: string;
  kind: "string" | "integer" | "float" | "boolean";
  unit: string;
  minimum: number;
  maximum: number;
  pattern: string | null;
  pattern_in_words: string;
  may_be_empty: boolean;
  choices: (string | number)[];
  allowed: string;
  effect: string;
  /** Another value than the stored one is in force until the next restart. */
  is_waiting: boolean;
  is_secret: boolean;
  value: Value | null;
}

export interface Rules {
  overclock_guarded: boolean;
  settings: Rule[];
}

export const NEEDS_RESTART = "after a restart";

const bytes = (text: string): number => new TextEncoder().encode(text).length;

/** Say what is wrong with a value as typed, or nothing. */
export function check(rule: Rule, value: string | boolean): string {
  if (typeof value === "boolean") return value && rule.maximum === 0 ? "Can only be cleared." : "";
  return rule.kind === "string" ? checkText(rule, value) : checkNumber(rule, value);
}

function checkText(rule: Rule, text: string): string {
  if (!text && rule.may_be_empty) return "";
  if (rule.choices.length && !rule.choices.includes(text)) return `Allowed is ${rule.allowed}.`;
  const size = bytes(text);
  if (size < rule.minimum || size > rule.maximum)
    return size ? `${size} bytes; allowed is ${rule.allowed}.` : "This cannot be empty.";
  if (rule.pattern && !new RegExp(`^(?:${rule.pattern})$`, "u").test(text))
    return `Use ${rule.pattern_in_words}.`;
  return "";
}

function checkNumber(rule: Rule, text: string): string {
  const value = Number(text);
  if (!text.trim() || !Number.isFinite(value)) return "This is no number.";
  if (rule.kind === "integer" && !Number.isInteger(value)) return "Only whole numbers.";
  if (rule.choices.length && !rule.choices.includes(value)) return `Allowed is ${rule.allowed}.`;
  return value < rule.minimum || value > rule.maximum ? `Allowed is ${rule.allowed}.` : "";
}

/** Say when a value outside the board's options needs overclocking switched on. */
export function checkOverclock(rule: Rule, text: string, options: number[]): string {
  const isKept = Number(text) === rule.value;
  return isKept || options.includes(Number(text)) ? "" : "Outside the board's options; allow overclocking first.";
}

export function optionsOf(rule: Rule, asic: Asic | undefined): { values: number[]; normal: number } | null {
  if (!asic) return null;
  if (rule.name === "frequency") return { values: asic.frequencyOptions, normal: asic.defaultFrequency };
  if (rule.name === "coreVoltage") return { values: asic.voltageOptions, normal: asic.defaultVoltage };
  return null;
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
