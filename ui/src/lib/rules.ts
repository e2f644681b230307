/** Checks settings as the device does, by the device's own table, and calls them as their owner does. */

import { pools as poolTexts, settings as texts } from "$texts";
import type { Asic, Pool } from "./api";

export type Value = string | number | boolean;
/** As it stands in a form. */
export type Typed = string | boolean;

/** What values there may be. */
export interface Limits {
  minimum: number;
  maximum: number;
  pattern: string | null;
  pattern_in_words: string;
  may_be_empty: boolean;
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

/** What is allowed of a member of a pool's slot. */
interface Member {
  name: string;
  kind: "string" | "integer" | "boolean";
  minimum: number;
  maximum: number;
  choices: string[];
  default: Value;
  is_secret: boolean;
}

export interface Rules {
  /** The API page asks for overclocking to be switched on before it is done. */
  overclock_guarded: boolean;
  /** What the page asks for is refused otherwise, not only told. */
  is_strict: boolean;
  pool_slots: number;
  pool_members: Member[];
  settings: Rule[];
}

/** The board's own values. */
export interface Options {
  values: number[];
  normal: number;
}

export const NEEDS_RESTART = "after a restart";
/** From here on a limit says nothing to an owner. */
const MANY_CHARACTERS = 1000;
const MANY = 1e6;

const OF_POOL = /^(stratum|fallbackStratum)(?=[A-Z])/;
/** What a setting of a pool is about, without which pool. */
const ofPool = (name: string): string => name.replace(OF_POOL, "");

/** The settings of a device one by one: where pools have slots, older names only stand for what is in two of them. */
export function singles({ settings }: Rules): Rule[] {
  const hasSlots = settings.some((rule) => rule.kind === "array");
  return settings.filter((rule) => rule.kind !== "array" && !(hasSlots && OF_POOL.test(rule.name)));
}

const described = (rule: Rule): [string, string] | undefined =>
  OF_POOL.test(rule.name) ? texts.poolFields[ofPool(rule.name)] : texts.fields[rule.name];

/** What a setting is called beside others of its group. */
export const labelOf = (rule: Rule): string => described(rule)?.[0] ?? rule.description.split(/[:;]|, as /)[0] ?? rule.name;

/** What a setting is called anywhere. */
export function nameOf(rule: Rule): string {
  const label = labelOf(rule);
  if (!rule.effect || !OF_POOL.test(rule.name)) return label;
  return `${rule.name.startsWith("fallback") ? texts.fallback : texts.primary}: ${label}`;
}

/** All that there is to say of a setting while it is typed. */
export function hintOf(rule: Rule): string {
  const limits = rule.asked ?? rule;
  const isTold = rule.kind === "string" ? limits.maximum < MANY_CHARACTERS : limits.maximum < MANY;
  const isFree = rule.kind !== "boolean" && !rule.choices.length && !codesOf(rule);
  const allowed = [limits.pattern_in_words, isTold && isFree ? range(rule, limits) : ""].filter(Boolean).join(", ");
  return [
    described(rule)?.[1] ?? `${rule.description}.`,
    ...(allowed ? [texts.allowed(allowed)] : []),
    ...(rule.effect ? [texts.applies(rule.effect)] : []),
  ].join(" ");
}

function range(rule: Rule, { minimum, maximum, may_be_empty: mayBeEmpty }: Limits): string {
  if (rule.kind !== "string") return texts.range(String(minimum), String(maximum), rule.unit);
  const text = texts.characters(minimum, maximum);
  return mayBeEmpty ? texts.orEmpty(text) : text;
}

/** What stands for each value of a setting that has codes. */
export const codesOf = (rule: Rule): Record<string, string> | undefined =>
  rule.kind === "boolean" ? undefined : texts.codes[ofPool(rule.name)];

/** The values with a meaning of their own among many, where the device takes them. */
export function specialOf(rule: Rule): { words: [string, string][]; other: string } | null {
  const { other = "", ...words } = texts.special[rule.name] ?? {};
  const taken = Object.entries(words).filter(([value]) => Number(value) >= rule.minimum);
  // Digits first is how an object orders its keys; -1 comes before 0.
  return taken.length ? { words: taken.sort(([a], [b]) => Number(a) - Number(b)), other } : null;
}

export const asTyped = (rule: Rule): Typed =>
  typeof rule.value === "boolean" ? rule.value : rule.is_secret ? "" : String(rule.value ?? "");

/** A value as an owner reads it. */
export function inWords(rule: Rule, value: Typed): string {
  if (rule.is_secret) return value ? texts.changedSecret : texts.empty;
  if (typeof value === "boolean") return value ? texts.on : texts.off;
  if (value === "") return texts.empty;
  if (rule.name.endsWith("PoolIndex")) return poolTexts.name(Number(value));
  const word = codesOf(rule)?.[value] ?? texts.special[rule.name]?.[value];
  if (word) return word;
  // Of a float of 32 bits, the digits that somebody gave.
  const text = rule.kind === "float" && Number.isFinite(Number(value)) ? String(Number(Number(value).toFixed(3))) : value;
  return `${text} ${rule.unit}`.trim();
}

const bytes = (text: string): number => new TextEncoder().encode(text).length;

/** Say what is wrong with a value as typed, or nothing. */
export function check(rule: Rule, value: Typed, limits: Limits = rule): string {
  if (typeof value === "boolean") return value && limits.maximum === 0 ? texts.mustBeCleared : "";
  return rule.kind === "string" ? checkText(rule, value, limits) : checkNumber(rule, value, limits);
}

function checkText(rule: Rule, text: string, limits: Limits): string {
  if (!text && limits.may_be_empty) return "";
  if (rule.choices.length) return rule.choices.includes(text) ? "" : texts.oneOf(rule.choices.join(", "));
  const size = bytes(text);
  if (size < limits.minimum || size > limits.maximum) {
    const told = size ? texts.tooLong(size, range(rule, limits)) : texts.missing;
    return size > text.length ? `${told} ${texts.inBytes}` : told;
  }
  if (limits.pattern && !new RegExp(`^(?:${limits.pattern})$`, "u").test(text)) return texts.useOnly(limits.pattern_in_words);
  return "";
}

function checkNumber(rule: Rule, text: string, limits: Limits): string {
  const value = Number(text);
  if (!text.trim() || !Number.isFinite(value)) return texts.noNumber;
  if (rule.kind === "integer" && !Number.isInteger(value)) return texts.noWhole;
  if (rule.choices.length) return rule.choices.includes(value) ? "" : texts.oneOf(rule.choices.join(", "));
  return value < limits.minimum || value > limits.maximum ? texts.outside(range(rule, limits)) : "";
}

/** Say when a value outside the board's options needs overclocking switched on. */
export function checkOverclock(text: string, options: number[]): string {
  return options.includes(Number(text)) ? "" : texts.notOwn;
}

export function optionsOf(rule: Rule, asic: Asic | undefined): Options | null {
  if (!asic) return null;
  if (rule.name === "frequency") return { values: asic.frequencyOptions, normal: asic.defaultFrequency };
  if (rule.name === "coreVoltage") return { values: asic.voltageOptions, normal: asic.defaultVoltage };
  return null;
}

const V1_ONLY = ["TLS", "Cert", "ExtranonceSubscribe"];

/** Whether a setting of a pool means anything, by the other values as typed. */
export function applies(name: string, typed: Record<string, Typed>): boolean {
  const pool = OF_POOL.exec(name)?.[1];
  if (!pool) return true;
  const what = ofPool(name);
  const isV2 = typed[`${pool}Protocol`] === "SV2";
  if (what.startsWith("V2")) return isV2;
  if (isV2 && V1_ONLY.includes(what)) return false;
  return what !== "Cert" || typed[`${pool}TLS`] === "2";
}

const SH1107 = "SH1107";

/** Why a setting has no effect as the others are typed; empty when it has one. */
export function whyWithout(name: string, typed: Record<string, Typed>): string {
  const { autofanspeed: isAutomatic, display } = typed;
  if (isAutomatic === true && (name === "manualFanSpeed" || name === "fanspeed")) return texts.noEffect.automatic;
  if (isAutomatic === false && (name === "temptarget" || name === "minFanSpeed")) return texts.noEffect.manual;
  if (typeof display !== "string") return "";
  if (name === "displayOffset" && !display.startsWith(SH1107)) return texts.noEffect.notSh1107;
  const isOfDisplay = ["rotation", "flipscreen", "invertscreen", "displayTimeout"].includes(name);
  return isOfDisplay && display === "NONE" ? texts.noEffect.noDisplay : "";
}

/** The members of a pool's slot as rules, with what is stored there, if anything. */
export function slotRules(members: Member[], stored: Pool | undefined): Rule[] {
  const values = stored as unknown as Record<string, Value> | undefined;
  return members.map((member) => ({
    ...member,
    ...{ description: member.name, unit: "", pattern: null, pattern_in_words: "", may_be_empty: false },
    ...{ asked: null, effect: "", is_waiting: false },
    value: member.is_secret ? null : (values?.[member.name] ?? member.default),
  }));
}

/** Take a device's refusal apart: what it says of which setting, and the rest. */
export function byField(refusal: string, names: string[]): Record<string, string> {
  const found: Record<string, string> = {};
  const heads = [...refusal.matchAll(/(?:^|; )(?:pool\.)?(\w+): /g)].filter(([, name]) => names.includes(name ?? ""));
  heads.forEach((head, index) => {
    const start = head.index + head[0].length;
    found[head[1] ?? ""] = refusal.slice(start, heads[index + 1]?.index);
  });
  return found;
}
