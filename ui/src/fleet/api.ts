/** The control API, as typed calls. */

import { fleetAnswers as words } from "$texts";

export interface Row {
  id: string;
  group: string;
  board: string;
  family: string;
  firmware: string;
  url: string;
  hostname: string;
  macAddr: string;
  state: string;
  /** Its firmware can pause mining. */
  canPause: boolean;
  /** HOST:PORT that it mines on; empty for none. */
  pool: string;
  /** MHz and mV, as set. */
  frequency: number;
  coreVoltage: number;
  hashRate: number;
  expectedHashrate: number;
  power: number;
  efficiency: number | null;
  temp: number;
  vrTemp: number | null;
  fanspeed: number;
  sharesAccepted: number;
  sharesRejected: number;
  bestDiff: number;
  isUsingFallbackStratum: boolean;
  /** dBm; null while it is away. */
  rssi: number | null;
  uptimeSeconds: number;
  /** Device time from which uptime counts. */
  startedAt: number;
  /** Ids of the rules that meet it, and what these do. */
  faults: string[];
  effects: string[];
}

/** What is new of the devices. */
export interface Rows {
  revision: string;
  /** null when the devices are all there are. */
  since: string | null;
  devices: (Partial<Row> & { id: string })[];
  removed: string[];
}

export interface Sums {
  softaxe: string;
  devices: number;
  mining: number;
  /** Devices that neither mine well, nor start, nor are paused. */
  problems: number;
  hashRate: number;
  expectedHashrate: number;
  power: number;
  efficiency: number | null;
  hottest: number;
  sharesAccepted: number;
  sharesRejected: number;
  bestDiff: number;
  groups: Record<string, number>;
  now: number;
  /** Unix time at device time 0. */
  startTime: number;
  speed: number;
  /** What of it is reached; null while it stands, or has just begun to go. */
  reachedSpeed: number | null;
  paused: boolean;
  /** Processes. */
  workers: number;
  pool: { url: string; connections: number; sharesAccepted: number; sharesRejected: number } | null;
  faults: number;
}

export interface History {
  /** Device time, and Unix time then. */
  now: number[];
  time: number[];
  hashRate: number[];
  power: number[];
  hottest: number[];
  mining: number[];
  problems: number[];
  sharesAccepted: number[];
  sharesRejected: number[];
  happenings: { now: number; kind: "restart" | "fault" | "setting" | "block"; label: string; device: string; devices: number }[];
}

/** Which devices have done what several were ordered. */
export interface Ordered {
  done: string[];
  /** Why the others have not, by id. */
  refused: Record<string, string>;
}

/** A process, or one on another machine, with some of the devices. */
export interface Worker {
  devices: string;
  place: string;
  state: string;
  restarts: number;
}

/** One device over time: one list for each quantity, oldest first. */
export interface DeviceHistory {
  now: number[];
  hashRate: (number | null)[];
  power: (number | null)[];
  temp: (number | null)[];
  vrTemp: (number | null)[];
  fanspeed: (number | null)[];
  uptimeSeconds: (number | null)[];
}

export interface Parameter {
  name: string;
  help: string;
  /** `names` is a text or a list of texts. */
  kind: "number" | "text" | "names" | "table";
  default: unknown;
  range: [number, number] | null;
  choices: string[];
  unit: string | null;
}

export interface Effect {
  name: string;
  /** What it acts on. */
  area: string;
  /** It meets single requests, by route, method and chance. */
  of_requests: boolean;
  help: string;
  parameters: Parameter[];
}

export interface Rule {
  id: string;
  effect: string;
  device?: string | string[];
  group?: string;
  firmware?: string;
  share?: number;
  probability?: number;
  method?: string;
  route?: string;
  every_s?: number;
  duration_s?: number;
  paused?: boolean;
  active: boolean;
  /** When it next begins or ends; null for never. */
  changes_at: number | null;
  begins_at: number;
  ends_at: number | null;
  matches: number;
  /** Of these, miners that are no devices of the fleet. */
  strangers: number;
  /** Ids of the first ten. */
  devices: string[];
  /** What the effect takes, by its parameters' names. */
  [parameter: string]: unknown;
}

/** An order for a common trouble. */
export interface Preset {
  name: string;
  rule: Record<string, unknown>;
}

export interface Entry {
  seq: number;
  time: string;
  now: number;
  device: string;
  client: string;
  method: string;
  path: string;
  query: string;
  /** Name, in lower case, and value of each; without secrets. */
  headers: [string, string][];
  body: string;
  status: number;
  bytes: number;
  answer: string;
  ms: number;
  unmatched: boolean;
  fault: string | null;
  /** What the API page asks for and the request does not meet. */
  warnings: string[];
  /** How a device would have answered otherwise. */
  differs: string[];
  /** What the device had said before faults bent its answer. */
  bent: { faults: string[]; status: number; bytes: number; answer: string } | null;
}

/** Time that is being skipped. */
export interface Advance {
  id: string;
  now: number;
  until: number;
  done: boolean;
  error: string | null;
}

export interface Snapshot {
  name: string;
  now: number;
  devices: number;
  bytes: number;
}

export interface Pool {
  urls: string[];
  height: number;
  connections: number;
  sharesAccepted: number;
  /** By reason. */
  sharesRejected: Record<string, number>;
  blocksFound: number;
}

export interface Miner {
  id: string;
  /** Its id, for a device of the fleet. */
  device: string | null;
  protocol: string;
  agent: string;
  connectedAt: number;
  workers: {
    user: string;
    channel: number | null;
    channelKind: string | null;
    difficulty: number;
    sharesAccepted: number;
    sharesRejected: Record<string, number>;
    hashRate: number;
  }[];
}

/** A fleet that says nothing for so long is told to be lost; orders may take longer. */
const LOST_MS = 20_000;
const KEPT = "softaxe-control-token";
const given = new URLSearchParams(location.hash.slice(1)).get("token");
if (given) {
  sessionStorage.setItem(KEPT, given);
  history.replaceState(null, "", location.pathname);
}
/** The control token: given once as `#token=...`, and kept as long as this tab. */
const token = sessionStorage.getItem(KEPT);
export const hasToken = Boolean(token);

/** What was asked for is not there, or no more. */
export class NotThere extends Error {}

/** Ask; throws an Error whose message is the API's own. */
export async function ask<T>(method: string, path: string, body?: unknown): Promise<T> {
  const headers: Record<string, string> = {};
  if (body !== undefined) headers["Content-Type"] = "application/json";
  if (token) headers.Authorization = `Bearer ${token}`;
  const answer = await fetch(path, {
    method,
    headers,
    ...(method === "GET" ? { signal: AbortSignal.timeout(LOST_MS) } : {}),
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  });
  const found: unknown = await answer.json();
  if (!answer.ok) {
    const text = (found as { error?: string }).error ?? `HTTP ${answer.status}`;
    throw answer.status === 404 ? new NotThere(text) : new Error(text);
  }
  return found as T;
}

/** What went wrong; a browser has its own words for no answer at all. */
export function inWords(error: unknown): string {
  if (error instanceof TypeError || (error instanceof DOMException && error.name === "TimeoutError")) return words.none;
  return error instanceof Error ? error.message : String(error);
}
