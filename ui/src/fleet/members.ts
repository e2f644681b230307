/** What a device says of itself, in groups and with units. */

import { difficultyText, duration, hashrateText, number, scaledText } from "../lib/format";
import { members as texts } from "$texts";

export interface Told {
  /** In the API. */
  name: string;
  label: string;
  value: string;
}

type Group = keyof typeof texts.groups;

/** The first that a name belongs to; what belongs to none comes last. */
const GROUPS: [Group, RegExp][] = [
  ["pool", /stratum|pool|responseTime|extranonce/i],
  ["mining", /hash|share|diff|block|scriptsig|errorPercentage|^frequency$|core|ASIC|overclock|mining/i],
  ["heat", /temp|fan|overheat|heat/i],
  ["power", /power|volt|current/i],
  ["network", /wifi|ssid|mac|host|ip|apEnabled/i],
  ["screen", /display|rotation|invert/i],
  ["system", /version|uptime|reset|partition|heap|psram|stats|load|cpu|free/i],
  ["other", /./],
];

/** A value as people read it, by the first pattern that its name has. */
const UNITS: [RegExp, (value: number) => string][] = [
  [/^(hashRate|expectedHashrate|hashrate)/, hashrateText],
  [/diff(iculty)?$/i, difficultyText],
  [/^(temp|vrTemp|temp2|boardtemp\d?)$/, (value) => (value > 0 ? `${number(value, 1)} °C` : "–")],
  [/^temptarget$/, (value) => `${number(value)} °C`],
  [/^(power|maxPower|minPower)$/, (value) => `${number(value, 1)} W`],
  [/^voltage$/, (value) => `${number(value / 1000, 2)} V`],
  [/^nominalVoltage$/, (value) => `${number(value)} V`],
  [/^current$/, (value) => `${number(value / 1000, 2)} A`],
  [/^coreVoltage/, (value) => `${number(value)} mV`],
  [/^frequency$/, (value) => `${number(value, value % 1 ? 2 : 0)} MHz`],
  [/^(fanspeed|manualFanSpeed|minFanSpeed|fan2speed)$/i, (value) => `${number(value)} %`],
  [/^(errorPercentage|cpuLoad)/, (value) => `${number(value, 2)} %`],
  [/rpm$/, (value) => `${number(value)} rpm`],
  [/^wifiRSSI$/, (value) => `${number(value)} dBm`],
  [/^responseTime$/, (value) => `${number(value, 1)} ms`],
  [/^uptimeSeconds$/, duration],
  [/^statsFrequency$/, (value) => (value ? duration(value) : texts.off)],
  [/^freeHeap/, (value) => scaledText(value, "B", 1)],
  [/^displayTimeout$/, (value) => (value < 0 ? texts.always : `${number(value)} min`)],
  [/^rotation$/, (value) => `${number(value)}°`],
  [/Port$|^blockHeight$/, String],
];
const FLAG = /^(is[A-Z]|.*Enabled$|.*Subscribe$|.*TLS$|overheat_mode$|invertscreen$|autofanspeed$|blockFound$|.*Paused$|.*DecodeCoinbase$)/;

function textOf(name: string, value: unknown): string {
  if (typeof value === "boolean" || (FLAG.test(name) && (value === 0 || value === 1))) return value ? texts.yes : texts.no;
  if (typeof value === "number") {
    const write = UNITS.find(([pattern]) => pattern.test(name))?.[1];
    return write ? write(value) : value.toLocaleString("en", { maximumSignificantDigits: 6 });
  }
  if (value === null || value === "") return "–";
  return typeof value === "object" ? JSON.stringify(value) : String(value);
}

const LABELS: Record<string, string> = texts.labels;

/** The members of an answer by their groups, in the order in which they are told. */
export function grouped(info: Record<string, unknown>): [string, Told[]][] {
  const found = new Map<Group, Told[]>(GROUPS.map(([group]) => [group, []]));
  for (const [name, value] of Object.entries(info)) {
    const group = GROUPS.find(([, pattern]) => pattern.test(name))?.[0] ?? "other";
    found.get(group)?.push({ name, label: LABELS[name] ?? "", value: textOf(name, value) });
  }
  return [...found].filter(([, list]) => list.length).map(([group, list]) => [texts.groups[group], list]);
}
