/** The device's HTTP interface, as far as the page uses it. */

import { answers } from "$texts";

/** What every firmware version tells, or what stands for it where one does not. */
export interface Info {
  power: number;
  voltage: number;
  current: number;
  temp: number;
  temp2: number;
  vrTemp: number;
  maxPower: number;
  hashRate: number;
  /** Null where the firmware knows none. */
  hashRate_1m: number | null;
  hashRate_10m: number | null;
  hashRate_1h: number | null;
  expectedHashrate: number;
  /** Null where the firmware knows none. */
  errorPercentage: number | null;
  bestDiff: number;
  bestSessionDiff: number;
  poolDifficulty: number;
  isUsingFallbackStratum: number;
  coreVoltage: number;
  coreVoltageActual: number;
  frequency: number;
  ssid: string;
  macAddr: string;
  hostname: string;
  ipv4: string;
  wifiStatus: string;
  wifiRSSI: number;
  apEnabled: number;
  sharesAccepted: number;
  sharesRejected: number;
  sharesRejectedReasons: { message: string; count: number }[] | null;
  uptimeSeconds: number;
  ASICModel: string;
  stratumURL: string;
  stratumPort: number;
  stratumUser: string;
  fallbackStratumURL: string;
  fallbackStratumPort: number;
  fallbackStratumUser: string;
  responseTime: number;
  version: string;
  axeOSVersion: string;
  boardVersion: string;
  resetReason: string;
  runningPartition: string;
  overheat_mode: number;
  autofanspeed: number;
  fanspeed: number;
  fanrpm: number;
  fan2rpm: number;
  temptarget: number;
  statsFrequency: number;
  blockFound: number;
  power_fault?: string;
  hardware_fault?: string;
  blockHeight?: number;
  scriptsig?: string;
  networkDifficulty?: number;
  /** Undefined before 2.15. */
  partitions?: unknown[];
  pools?: Pool[];
  /** Undefined where mining cannot be paused. */
  miningPaused?: boolean;
  /** Undefined where the news of a block cannot be dismissed. */
  showNewBlock?: boolean;
  nominalVoltage: number;
  minFanSpeed?: number;
  actualFrequency?: number;
  smallCoreCount: number;
  isPSRAMAvailable: number;
  freeHeap: number;
  freeHeapInternal?: number;
  freeHeapSpiram?: number;
  minFreeHeap?: number;
  maxAllocHeap?: number;
  /** In percent. */
  cpuUsage?: number;
  idfVersion: string;
  ipv6?: string;
  fullHostname?: string;
  poolConnectionInfo?: string;
  sharesPending?: number;
  totalUptimeSeconds?: number;
  hashrateMonitor?: { asics: { total: number; domains: number[]; errorCount: number }[] };
}

/** A pool slot of firmware from 2.15 on. */
export interface Pool {
  id: number;
  stratumURL: string;
  stratumPort: number;
  stratumUser: string;
  stratumPassword: string;
  stratumSuggestedDifficulty: number;
  stratumExtranonceSubscribe: boolean;
  stratumTLS: number;
  stratumCert: string;
  stratumDecodeCoinbase: boolean;
  stratumProtocol: string;
  stratumV2ChannelType: string;
  stratumV2AuthorityPubkey: string;
  stratumV2RequireAuth: boolean;
}

export interface Asic {
  ASICModel: string;
  deviceModel: string;
  asicCount: number;
  defaultFrequency: number;
  frequencyOptions: number[];
  defaultVoltage: number;
  voltageOptions: number[];
}

/** A slot for firmware; what is of its image is null while it is empty. */
export interface Partition {
  label: string;
  version: string | null;
  project: string | null;
  compiled: string | null;
  bytes: number | null;
  slot_bytes: number;
  boots: boolean;
  is_running: boolean;
  is_next: boolean;
}

export interface Status {
  softaxe: string;
  /** Where the fleet that the device belongs to shows it; empty without a control port. */
  fleetPage: string;
  work: string;
  /** Device seconds per real second; 0 while its time stands still. */
  speed: number;
  /** What of it is reached; null while it stands, or has just begun to go. */
  reachedSpeed: number | null;
  /** Names this run of the device since it was switched on or restarted. */
  boot: string;
  bootMs: number;
  pool: string;
  poolConnected: boolean;
  /** Since the pool last said something; null before it ever did. */
  poolSilentSeconds: number | null;
  /** Shares since the last one that the pool has answered, and for how long there was no answer. */
  unansweredShares: number;
  unansweredSeconds: number;
  /** Why mining shall not go on, the one to tell first: "pause", "no pool" ... */
  stoppedBy: string[];
  /** The chips have no power, for a reason or because they did not start. */
  miningStopped: boolean;
  chips: { answering: number; hashing: number };
  /** Exact, where the API has whole numbers: those of a CPU's real work are below 1. */
  difficulties: { pool: number; best: number; bestSession: number };
  /** What the last recovery since boot took away. */
  overheatReduction: {
    frequencyBefore: number;
    frequency: number;
    coreVoltageBefore: number;
    coreVoltage: number;
  } | null;
  /** Firmware that it speaks as: that of its own version, or the nearest known. */
  speaks: string;
  partitions: Partition[];
  /** What the API page has against the settings that somebody chose. */
  warnings: string[];
  /** Why the last attempt to join the Wi-Fi failed; empty when it did not. */
  wifiTrouble: string;
  /** Of the overheat protection, in °C. */
  limits: { chip: number; regulator: number };
  /** Whether it can be set to start on the fallback pool. */
  choosesPool: boolean;
  /** The last one found since boot. */
  block: { height: number | null; secondsAgo: number } | null;
}

/** All pages of a device's screen. */
export interface Screens {
  /** Undefined while something else is shown, or nothing. */
  shown: string | null;
  /** In their order, each a PNG as base64. */
  pages: { name: string; png: string }[];
}

export interface Statistics {
  currentTimestamp: number;
  labels: string[];
  statistics: number[][];
}

export interface Network {
  ssid: string;
  rssi: number;
  authmode: number;
}

const TIMEOUT_MS = 5000;
/** Of members that some firmware versions do not have. */
const ABSENT: Partial<Info> = {
  temp2: -1,
  hashRate_1m: null,
  hashRate_10m: null,
  hashRate_1h: null,
  errorPercentage: null,
  fan2rpm: 0,
  ipv4: "",
  responseTime: 0,
  axeOSVersion: "",
  resetReason: "",
  statsFrequency: 0,
  poolDifficulty: 0,
};
const SUFFIXES = "kMGTPE";

/** The device answered, but not with what was asked for. */
export class Refused extends Error {}

/** What went wrong between this page and the device, as a sentence. */
export function inWords(problem: unknown): string {
  if (problem instanceof Refused) return problem.message;
  const name = (problem as Error).name;
  if (name === "TimeoutError") return answers.late;
  if (name === "SyntaxError") return answers.unreadable;
  return answers.none;
}

/** Why a request was not granted, as a sentence. */
export function refusal(status: number, body: string): string {
  if (status === 401)
    return answers.notLetIn;
  const told = reason(body);
  return told ? answers.refused(status, told.replace(/\.?$/, ".")) : answers.status(status);
}

async function ask(path: string, init: RequestInit = {}, timeoutMs = TIMEOUT_MS): Promise<Response> {
  return fetch(path, { cache: "no-store", signal: AbortSignal.timeout(timeoutMs), ...init });
}

/** The whole of an answer; one that breaks off is not silence. */
async function bodyOf(answer: Response): Promise<string> {
  try {
    return await answer.text();
  } catch (problem) {
    if ((problem as Error).name === "TimeoutError") throw problem;
    throw new Refused(answers.cutOff);
  }
}

export async function read<T>(path: string, timeoutMs = TIMEOUT_MS): Promise<T> {
  const answer = await ask(path, {}, timeoutMs);
  const body = await bodyOf(answer);
  if (!answer.ok) throw new Refused(refusal(answer.status, body));
  return JSON.parse(body) as T;
}

export async function readInfo(): Promise<Info> {
  return complete(await read<Record<string, unknown>>("/api/system/info"));
}

/** Let an answer of any version look like one of the latest. */
export function complete(told: Record<string, unknown>): Info {
  const difficulties = { bestDiff: difficulty(told.bestDiff), bestSessionDiff: difficulty(told.bestSessionDiff) };
  // Up to 2.8 the difficulty of the job at the chip is told instead.
  return { ...ABSENT, poolDifficulty: told.stratumDiff ?? 0, ...told, ...difficulties } as Info;
}

/** Read a difficulty: up to 2.10 a text such as "4.29G" or "4.29 G". */
function difficulty(told: unknown): number {
  if (typeof told !== "string") return Number(told);
  const [, digits = "0", suffix = ""] = /^([\d.]+) *([kMGTPE]?)/.exec(told) ?? [];
  return Number(digits) * 1000 ** (SUFFIXES.indexOf(suffix || "-") + 1);
}

/** Change settings; returns why the device does not, or an empty text, and what it warns of. */
export async function patch(changes: Record<string, unknown>): Promise<{ refusal: string; warnings: string[] }> {
  const answer = await ask("/api/system", {
    method: "PATCH",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify(changes),
  });
  const body = await bodyOf(answer);
  if (answer.status === 401) throw new Refused(refusal(401, body));
  if (!answer.ok) return { refusal: reason(body) || refusal(answer.status, ""), warnings: [] };
  // Where firmware is the model the body is empty.
  const { warnings = [] } = (body ? JSON.parse(body) : {}) as { warnings?: string[] };
  return { refusal: "", warnings };
}

export async function act(name: "restart" | "identify" | "pause" | "resume" | "blockFound/dismiss"): Promise<string> {
  return order("POST", `/api/system/${name}`);
}

/** Store a pool in its slot; returns what the device says. */
export async function savePool({ id, ...pool }: Pool): Promise<string> {
  return order("PUT", `/api/system/pools/${id}`, pool);
}

/** Empty a pool's slot; returns what the device says. */
export async function clearPool(id: number): Promise<string> {
  return order("DELETE", `/api/system/pools/${id}`);
}

/** Start from an application slot at once, where the firmware can. */
export async function boot(partition: string): Promise<void> {
  await order("POST", "/api/system/boot", { partition });
}

/** Send an order, with what it is about; returns what the device says. */
async function order(method: string, path: string, about?: unknown): Promise<string> {
  const body = about === undefined ? undefined : JSON.stringify(about);
  const answer = await ask(path, { method, headers: { "Content-Type": "application/json" }, body });
  const sent = await bodyOf(answer);
  if (!answer.ok) throw new Refused(answer.status === 400 ? reason(sent) : refusal(answer.status, sent));
  return reason(sent);
}

/** The picture on the device's screen, each dot so many pixels wide, or null where there is none. */
export async function screenPicture(scale: number): Promise<Blob | null> {
  const answer = await ask(`/softaxe/screen.png?scale=${scale}`, { redirect: "manual" });
  const isPicture = answer.ok && answer.headers.get("Content-Type") === "image/png";
  return isPicture ? answer.blob() : null;
}

/** All pages of the screen, or null where there are none. */
export async function readScreens(): Promise<Screens | null> {
  const answer = await ask("/softaxe/screens.json", { redirect: "manual" });
  return answer.ok && answer.headers.get("Content-Type") === "application/json" ? ((await answer.json()) as Screens) : null;
}

/** Press the device's button. */
export async function press(kind: "short" | "long"): Promise<void> {
  await order("POST", `/softaxe/button/${kind}`);
}

/** The last lines of the log before now, the oldest first. */
export async function readLog(): Promise<string> {
  const answer = await ask("/softaxe/log.txt");
  const body = await bodyOf(answer);
  if (!answer.ok) throw new Refused(refusal(answer.status, body));
  return body;
}

/** What an answer says, whether it is JSON or plain text. */
export function reason(body: string): string {
  try {
    const parsed = JSON.parse(body) as { error?: string; message?: string };
    return parsed.error ?? parsed.message ?? body;
  } catch {
    return body.trim();
  }
}

/** Send an image; resolves with what the device says to it. */
export function upload(
  path: string,
  file: File,
  onProgress: (sent: number) => void,
): Promise<{ isTaken: boolean; text: string }> {
  return new Promise((resolve) => {
    const request = new XMLHttpRequest();
    request.open("POST", path);
    request.setRequestHeader("Content-Type", "application/octet-stream");
    request.upload.onprogress = (event) => onProgress(event.loaded / Math.max(1, event.total));
    request.onload = () => {
      const text = reason(request.responseText) || answers.status(request.status);
      resolve({ isTaken: request.status === 200, text });
    };
    request.onerror = () => resolve({ isTaken: false, text: answers.uploadCutOff });
    request.send(file);
  });
}
