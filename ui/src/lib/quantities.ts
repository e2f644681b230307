/** What charts can show: units, and the statistics that a device keeps. */

import type { Info, Status } from "./api";
import { digitsOf, hashrateText, hashrateTicks, number, scaledText, scaledTicks } from "./format";
import { credible, currentRate, errorPercent } from "./rates";
import { quantities as words } from "$texts";

/** null where nothing is known. */
export type Value = number | null;

export interface Unit {
  /** Lines of one unit share an axis. */
  name: string;
  text: (value: number) => string;
  /** All values along an axis, which may be near each other. */
  ticks: (values: number[]) => string[];
  /** Where the axis ends when all is 0. */
  ofNothing: number;
  /** It shows at least so much, and a fifth of the highest value, so that noise does not look like drama. */
  least?: number;
  /** No value is below this, usually 0, or above that. */
  low?: number;
  high?: number;
}

/** A line that a chart may show. */
export interface Series {
  key: string;
  label: string;
  /** A colour of the page, such as `--hash`; another where it is taken. */
  color: string;
  unit: Unit;
  isDashed?: boolean;
}

const evenTicks = (values: number[], unit: string): string[] =>
  values.map((value) => `${number(value, digitsOf(values))} ${unit}`);

/** A unit whose values are written with so many digits. */
function plain(name: string, digits: number, ofNothing: number, more: Partial<Unit> = {}): Unit {
  const text = (value: number): string => `${number(value, digits)} ${name}`;
  return { name, text, ticks: (values) => evenTicks(values, name), ofNothing, ...more };
}

const thousandth = (name: string, digits: number, ofNothing: number): Unit => ({
  name,
  text: (value) => `${number(value / 1000, digits)} ${name}`,
  ticks: (values) => evenTicks(values.map((value) => value / 1000), name),
  ofNothing,
});

const wattsText = (value: number): string => (value < 1000 ? `${number(value, 1)} W` : scaledText(value, "W", 2));

export const UNITS = {
  hashrate: { name: "H/s", text: hashrateText, ticks: hashrateTicks, ofNothing: 1000 },
  celsius: plain("°C", 1, 80, { least: 8 }),
  watts: { name: "W", text: wattsText, ticks: (values) => scaledTicks(values, "W"), ofNothing: 10, least: 2 },
  percent: plain("%", 0, 100, { least: 20, high: 100 }),
  errors: { ...plain("%", 2, 1, { high: 100 }), name: "% errors" },
  volts: thousandth("V", 2, 5000),
  millivolts: plain("mV", 0, 1000),
  amperes: thousandth("A", 2, 1000),
  rpm: plain("rpm", 0, 5000),
  signal: plain("dBm", 0, 0, { least: 20, low: -Infinity, high: 0 }),
  bytes: { name: "B", text: (value) => scaledText(value, "B", 1), ticks: (values) => scaledTicks(values, "B"), ofNothing: 1000 },
  milliseconds: plain("ms", 1, 100),
  efficiency: plain("J/TH", 1, 20),
  devices: { ...plain("", 0, 1), name: words.devices, text: (value) => number(value), ticks: (values) => values.map((value) => (Number.isInteger(value) ? number(value) : "")) },
} satisfies Record<string, Unit>;

interface Quantity extends Series {
  /** Its column of the statistics; releases up to 2.10 have the second name. */
  columns: string[];
  now: (info: Info, status: Status) => Value;
  /** From what the device has recorded; as it is where this is missing. */
  recorded?: (value: number, isOn: boolean, info: Info) => Value;
}

/** Where 0 and less stand for nothing read. */
const present = (value: number | null): Value => (value !== null && value > 0 ? value : null);
const rate = (value: number | null, info: Info): Value => (value === null ? null : credible(value, info.expectedHashrate));

/** The columns of the statistics, as far as some version has them. */
export const QUANTITIES: Quantity[] = [
  {
    key: "hashrate", label: words.hashrate, color: "--hash", unit: UNITS.hashrate,
    columns: ["hashrate", "hashRate"],
    now: currentRate,
    // With the chip off, the firmware records the last rate it had.
    recorded: (value, isOn, info) => (isOn ? rate(value, info) : 0),
  },
  {
    key: "hashrate_1m", label: words.hashrate_1m, color: "--line6", unit: UNITS.hashrate,
    columns: ["hashrate_1m"], now: (info) => rate(info.hashRate_1m, info), recorded: (value, _isOn, info) => rate(value, info),
  },
  {
    key: "hashrate_10m", label: words.hashrate_10m, color: "--heat2", unit: UNITS.hashrate,
    columns: ["hashrate_10m"], now: (info) => rate(info.hashRate_10m, info), recorded: (value, _isOn, info) => rate(value, info),
  },
  {
    key: "hashrate_1h", label: words.hashrate_1h, color: "--line8", unit: UNITS.hashrate,
    columns: ["hashrate_1h"], now: (info) => rate(info.hashRate_1h, info), recorded: (value, _isOn, info) => rate(value, info),
  },
  {
    key: "errorPercentage", label: words.errorPercentage, color: "--heat", unit: UNITS.errors,
    columns: ["errorPercentage"], now: errorPercent, recorded: (value, isOn) => (isOn && value <= 100 ? value : null),
  },
  {
    key: "asicTemp", label: words.asicTemp, color: "--heat", unit: UNITS.celsius,
    columns: ["asicTemp", "temp"], now: (info) => present(info.temp), recorded: present,
  },
  {
    key: "asicTemp2", label: words.asicTemp2, color: "--line6", unit: UNITS.celsius,
    columns: ["asicTemp2"], now: (info) => present(info.temp2), recorded: present,
  },
  {
    key: "vrTemp", label: words.vrTemp, color: "--heat2", unit: UNITS.celsius, isDashed: true,
    columns: ["vrTemp"], now: (info) => present(info.vrTemp), recorded: present,
  },
  { key: "power", label: words.power, color: "--power", unit: UNITS.watts, columns: ["power"], now: (info) => info.power },
  { key: "current", label: words.current, color: "--line7", unit: UNITS.amperes, columns: ["current"], now: (info) => info.current },
  { key: "voltage", label: words.voltage, color: "--line6", unit: UNITS.volts, columns: ["voltage"], now: (info) => info.voltage },
  {
    key: "asicVoltage", label: words.asicVoltage, color: "--line8", unit: UNITS.millivolts,
    columns: ["asicVoltage", "coreVoltageActual"], now: (info) => info.coreVoltageActual,
  },
  { key: "fanSpeed", label: words.fanSpeed, color: "--fan", unit: UNITS.percent, columns: ["fanSpeed", "fanspeed"], now: (info) => info.fanspeed },
  { key: "fanRpm", label: words.fanRpm, color: "--line6", unit: UNITS.rpm, columns: ["fanRpm", "fanrpm"], now: (info) => info.fanrpm },
  { key: "fan2Rpm", label: words.fan2Rpm, color: "--line7", unit: UNITS.rpm, columns: ["fan2Rpm"], now: (info) => info.fan2rpm },
  { key: "wifiRssi", label: words.wifiRssi, color: "--line8", unit: UNITS.signal, columns: ["wifiRssi", "wifiRSSI"], now: (info) => info.wifiRSSI },
  { key: "freeHeap", label: words.freeHeap, color: "--line7", unit: UNITS.bytes, columns: ["freeHeap"], now: (info) => info.freeHeap },
  {
    key: "responseTime", label: words.responseTime, color: "--heat2", unit: UNITS.milliseconds,
    columns: ["responseTime"], now: (info) => present(info.responseTime), recorded: present,
  },
];

/** Column that tells whether a chip was on. */
export const CORE_VOLTAGE = "asicVoltage";
