/** What a device reads, beside what it is to be and what it must not be. */

import { dashboard } from "$texts";
import type { Asic, Info, Status } from "./api";
import { number } from "./format";

const texts = dashboard.limits;

export interface Limit {
  label: string;
  /** Null while nothing is known; `shown` says so. */
  value: number | null;
  /** With its unit. */
  shown: string;
  /** What the bar spans. */
  low: number;
  high: number;
  target?: number;
  /** From here on it is dangerous, and below the other. */
  most?: number;
  least?: number;
  tone: "" | "warn" | "bad";
  /** Target, limit and state in words. */
  note: string;
}

/** From this part of a limit on a value is near it. */
const NEAR = 0.9;
/** Of the nominal input voltage, either way: an estimate, as USB's own limits are for 5 V. */
const INPUT_PART = 0.1;
const AMBIENT_C = 20;
/** What of a bar lies beyond a limit. */
const BEYOND = 1.12;
const FULL_FAN_PERCENT = 99;

const words = (...parts: string[]): string => parts.filter(Boolean).join(", ");

/** Judge a value that has an upper limit. */
function below(value: number | null, most: number): [Limit["tone"], string] {
  if (value === null || value < NEAR * most) return ["", ""];
  return value > most ? ["bad", texts.over] : ["warn", texts.near];
}

function temperature(label: string, value: number, most: number, target?: number): Limit {
  const known = value > 0 ? value : null;
  const [tone, state] = below(known, most);
  const told = target === undefined ? "" : texts.target(`${target} °C`);
  return {
    label,
    value: known,
    shown: known === null ? texts.off : `${number(known, 1)} °C`,
    low: AMBIENT_C,
    high: AMBIENT_C + (most - AMBIENT_C) * BEYOND,
    most,
    tone,
    note: words(told, texts.limit(`${most} °C`), state),
    ...(target === undefined ? {} : { target }),
  };
}

function power(info: Info): Limit {
  const [tone, state] = below(info.power, info.maxPower);
  return {
    label: texts.power,
    value: info.power,
    shown: `${number(info.power, 1)} W`,
    low: 0,
    high: info.maxPower * BEYOND,
    most: info.maxPower,
    tone,
    note: words(texts.supply(`${number(info.maxPower)} W`), state),
  };
}

function input(info: Info): Limit {
  const [volts, nominal] = [info.voltage / 1000, info.nominalVoltage];
  const [least, most] = [nominal * (1 - INPUT_PART), nominal * (1 + INPUT_PART)];
  const state = volts < least ? texts.low : volts > most ? texts.high : "";
  return {
    label: texts.input,
    value: volts,
    shown: `${number(volts, 2)} V`,
    low: nominal * (1 - 2 * INPUT_PART),
    high: nominal * (1 + 2 * INPUT_PART),
    target: nominal,
    least,
    most,
    tone: state ? "bad" : "",
    note: words(texts.nominal(`${number(nominal)} V`), state),
  };
}

/** The board's presets are what a chip bears by its maker's word. */
function core(info: Info, asic: Asic | undefined): Limit {
  const presets = asic?.voltageOptions ?? [];
  const most = Math.max(...presets, asic?.defaultVoltage ?? info.coreVoltage);
  const least = Math.min(...presets, info.coreVoltage);
  const isOver = info.coreVoltage > most;
  return {
    label: texts.core,
    value: info.coreVoltageActual,
    shown: `${number(info.coreVoltageActual)} mV`,
    low: least * 0.8,
    high: Math.max(most, info.coreVoltage) * 1.05,
    target: info.coreVoltage,
    most,
    tone: isOver ? "warn" : "",
    note: words(texts.set(`${number(info.coreVoltage)} mV`), texts.limit(`${number(most)} mV`), isOver ? texts.over : ""),
  };
}

function fan(label: string, info: Info, rpm: number): Limit {
  const stands = info.fanspeed > 0 && rpm === 0;
  const isFull = info.autofanspeed && info.fanspeed > FULL_FAN_PERCENT;
  const least = info.minFanSpeed;
  const mode = info.autofanspeed ? texts.automatic(least === undefined ? "" : `${least} %`) : texts.manual;
  return {
    label,
    value: info.fanspeed,
    shown: `${number(info.fanspeed)} %`,
    low: 0,
    high: 100,
    ...(info.autofanspeed && least !== undefined ? { target: least } : {}),
    tone: stands ? "bad" : isFull ? "warn" : "",
    note: words(stands ? texts.stands : `${number(rpm)} rpm`, mode),
  };
}

/** Of the rate, in GH/s; null for one that is not known. */
export function rateLimit(rate: number | null, expected: number, isSlow: boolean): Limit {
  return {
    label: texts.rate,
    value: rate,
    shown: "",
    low: 0,
    high: Math.max(expected, rate ?? 0) * BEYOND,
    target: expected,
    least: expected * NEAR,
    tone: isSlow ? "warn" : "",
    note: "",
  };
}

/** All of them, in the order in which they are shown. */
export function limits(info: Info, status: Status, asic: Asic | undefined): Limit[] {
  const target = info.autofanspeed ? info.temptarget : undefined;
  const found = [power(info), input(info), core(info, asic), temperature(texts.chip, info.temp, status.limits.chip, target)];
  if (info.temp2 > 0) found.push(temperature(texts.chip2, info.temp2, status.limits.chip));
  if (info.vrTemp) found.push(temperature(texts.regulator, info.vrTemp, status.limits.regulator));
  found.push(fan(texts.fan, info, info.fanrpm));
  if (info.fan2rpm) found.push(fan(texts.fan2, info, info.fan2rpm));
  return found;
}
