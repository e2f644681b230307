/** What the device does, and what is wrong with it, in words. */

import type { Asic, Info, Status } from "./api";
import { duration, number } from "./format";
import { currentRate, errorPercent } from "./rates";
import { rejectedPercent, type Shares } from "./shares";

/** After its boot a device may take so long to mine. */
const SETTLED_S = 60;
/** So long a pool may be away or say nothing: it has jobs about twice a minute. */
const RECONNECT_S = 10;
const SILENT_S = 120;
/** A pool that answers no share for so long answers none; some answer many at once. */
const UNANSWERED_S = 300;
const BAD_ERROR_PERCENT = 5;
const LEAST_RATE_PERCENT = 90;
const MOST_REJECTED_PERCENT = 5;
const BAD_REJECTED_PERCENT = 50;
/** A restart or two is somebody's wish. */
const RESTARTS = 3;

export type Tone = "good" | "warn" | "bad";

export interface Problem {
  tone: Tone;
  title: string;
  advice: string;
  /** Where something can be done, and what that place is called. */
  links: [string, string][];
  /** A restart may help. */
  restarts?: boolean;
}

/** What only somebody knows who has looked for a while. */
export interface Past {
  /** Of the last minutes. */
  shares: Shares;
  /** Restarts of the last minutes. */
  restarts: number;
}

const POOL: [string, string] = ["#/settings/pool", "Pool settings"];
const CHIP: [string, string] = ["#/settings/chip", "Chip settings"];
const COOLING: [string, string] = ["#/settings/cooling", "Cooling settings"];
const WIFI: [string, string] = ["#/settings/wifi", "Wi-Fi settings"];
const SETTINGS: [string, string] = ["#/settings", "Settings"];

/** Not to the second: a screen reader says an alert again when it changes. */
function roughly(seconds: number): string {
  if (seconds < 60) return "less than a minute";
  return seconds < 3600 ? `${Math.floor(seconds / 60)} min` : duration(seconds);
}

/** How the pool is, or an empty text when it is well. */
export function poolTrouble(status: Status): string {
  const silent = status.poolSilentSeconds;
  if (silent === null) return status.bootMs / 1000 > SETTLED_S ? "no answer since the start" : "";
  if (!status.poolConnected) return silent > RECONNECT_S ? `not connected for ${roughly(silent)}` : "";
  return silent > SILENT_S ? `silent for ${roughly(silent)}` : "";
}

/** Whether the pool answers shares; an empty text when it does. */
export function unanswered(status: Status): string {
  const { unansweredShares: shares, unansweredSeconds: seconds } = status;
  return seconds < UNANSWERED_S ? "" : `${number(shares)} ${shares === 1 ? "share" : "shares"} without an answer for ${roughly(seconds)}`;
}

/** How much of the expected rate is reached, in percent; null while that is not known.
 *
 * A single reading is too noisy to judge by; firmware that tells no mean of a minute is not judged.
 */
export function reachedPercent(info: Info, status: Status): number | null {
  const rate = currentRate(info, status);
  const isKnown = status.work !== "real" && info.expectedHashrate > 0 && status.bootMs / 1000 > SETTLED_S;
  if (!rate || info.hashRate_1m === null || !isKnown) return null;
  return (Math.max(rate, info.hashRate_1m) / info.expectedHashrate) * 100;
}

export const isSlow = (info: Info, status: Status): boolean => (reachedPercent(info, status) ?? 100) < LEAST_RATE_PERCENT;
export const isRejected = (shares: Shares): boolean => rejectedPercent(shares) > MOST_REJECTED_PERCENT;

/** What the device does, in a word. */
export function state(info: Info, status: Status, shares: Shares): [Tone, string] {
  if (info.miningPaused) return ["warn", "Paused"];
  const isYoung = status.bootMs / 1000 <= SETTLED_S;
  if (status.chips.hashing && status.poolConnected && !poolTrouble(status)) {
    if (isYoung && !info.hashRate) return ["warn", "Starting"];
    if (isRejected(shares)) return [rejectedPercent(shares) > BAD_REJECTED_PERCENT ? "bad" : "warn", "Shares rejected"];
    if (unanswered(status)) return ["warn", "Unanswered"];
    return isSlow(info, status) ? ["warn", "Too slow"] : ["good", "Mining"];
  }
  const isStarting = isYoung && !info.apEnabled && !info.overheat_mode;
  return isStarting ? ["warn", "Starting"] : ["bad", "Not mining"];
}

export function problems(info: Info, status: Status, asic: Asic | undefined, past: Past): Problem[] {
  return [
    ...loop(info, past),
    ...chip(info, status, asic?.asicCount ?? 1),
    ...network(info, status),
    ...rejected(status, past.shares),
    ...asked(status),
  ];
}

function loop(info: Info, { restarts }: Past): Problem[] {
  if (restarts < RESTARTS) return [];
  const reason = info.resetReason ? ` The last time it said: ${info.resetReason}.` : "";
  const advice = `${restarts} times in the last 5 min.${reason}`;
  return [{ tone: "bad", title: "Restarts again and again", advice, links: [["#/logs", "Logs"]] }];
}

function rejected(status: Status, shares: Shares): Problem[] {
  if (!isRejected(shares)) return [];
  const percent = rejectedPercent(shares);
  const advice =
    `${status.pool} has rejected ${number(shares.rejected)} of the last ${number(shares.accepted + shares.rejected)} ` +
    `shares, ${number(percent)} %. They earn nothing. Its reasons stand below.`;
  const tone = percent > BAD_REJECTED_PERCENT ? "bad" : "warn";
  return [{ tone, title: "Shares rejected", advice, links: [POOL] }];
}

function asked(status: Status): Problem[] {
  if (!status.warnings.length) return [];
  const advice = `${status.warnings.join("; ")}. A device takes it all the same.`;
  return [{ tone: "warn", title: "Not as the API page asks", advice, links: [SETTINGS] }];
}

function chip(info: Info, status: Status, count: number): Problem[] {
  const found: Problem[] = [];
  const { answering, hashing } = status.chips;
  const errors = errorPercent(info, status) ?? 0;
  const isRecovering = info.overheat_mode && answering > 0;
  if (info.overheat_mode) found.push(overheated(status));
  if (info.power_fault)
    found.push({
      tone: "bad",
      title: "Power fault",
      advice:
        `${info.power_fault} The regulator gives the chip no power. ` +
        (isRecovering
          ? "The recovery from overheating clears this."
          : "Check the supply; a restart clears the fault once its cause is gone."),
      links: [],
      restarts: !isRecovering,
    });
  if (info.hardware_fault) found.push({ tone: "bad", title: "Hardware fault", advice: info.hardware_fault, links: [] });
  if (found.length || info.apEnabled || info.miningPaused || status.bootMs / 1000 <= SETTLED_S) return found;
  const isWorking = status.poolConnected && !poolTrouble(status);
  if (!answering)
    found.push({
      tone: "bad",
      title: "No chip",
      advice: "No chip answered when the device started, so it does not mine. A restart tries again.",
      links: [],
      restarts: true,
    });
  else if (!hashing && isWorking)
    found.push({
      tone: "bad",
      title: "The chip does not hash",
      advice: "It was found when the device started and has stopped since. A restart tries again.",
      links: [],
      restarts: true,
    });
  else if (hashing && hashing < count)
    found.push({
      tone: "bad",
      title: `${count - hashing} of ${count} chips do not hash`,
      advice: "A dead chip cuts off those behind it.",
      links: [],
    });
  if (errors > BAD_ERROR_PERCENT)
    found.push({
      tone: "bad",
      title: "Hash errors",
      advice: `${number(errors)} % of the hashes are wrong: the core voltage is too low for the frequency.`,
      links: [CHIP],
    });
  const reached = reachedPercent(info, status) ?? 100;
  if (!found.length && reached < LEAST_RATE_PERCENT)
    found.push({
      tone: "warn",
      title: "Too slow",
      advice: `The chip does ${number(reached)} % of the rate that is expected at its frequency.`,
      links: [CHIP],
    });
  return [...found, ...reduced(info, status)];
}

function overheated({ chips }: Status): Problem {
  const title = "Overheated";
  if (chips.hashing)
    return {
      tone: "bad",
      title,
      advice:
        "The protection has acted, and a restart ended it: the chip runs at its old frequency and core voltage, with " +
        "the fan by hand. Check the fan, then clear the mark of the protection.",
      links: [COOLING],
    };
  if (!chips.answering)
    return {
      tone: "bad",
      title,
      advice:
        "The protection switched the chip off and could not start it again. Check the fan; raise frequency and core " +
        "voltage if they were lowered too far; then restart.",
      links: [CHIP],
      restarts: true,
    };
  return {
    tone: "bad",
    title,
    advice:
      "The protection switched the chip off. Where the board can, it starts again once it is cool, with a lower " +
      "frequency and core voltage; else restart it then. Until then it reads neither power nor heat. Check the fan.",
    links: [COOLING],
  };
}

/** What a recovery has left behind, until somebody changes it. */
function reduced(info: Info, status: Status): Problem[] {
  const left = status.overheatReduction;
  if (!left || info.frequency !== left.frequency || info.coreVoltage !== left.coreVoltage) return [];
  const fan = info.autofanspeed ? "" : " The fan is set by hand since.";
  return [
    {
      tone: "warn",
      title: "Slower after overheating",
      advice:
        `The protection lowered the frequency from ${left.frequencyBefore} to ${left.frequency} MHz and the core ` +
        `voltage from ${left.coreVoltageBefore} to ${left.coreVoltage} mV, and does not raise them again.${fan}`,
      links: [CHIP, COOLING],
    },
  ];
}

/** What the radio says, and what an owner can do about it. */
function wifiAdvice(trouble: string): string {
  const pause = " While this page is open the device does not try again.";
  if (trouble === "Incorrect password entered") return `the password is wrong.${pause}`;
  return `${trouble}.${pause}`;
}

function network(info: Info, status: Status): Problem[] {
  const primary = `${info.stratumURL}:${info.stratumPort}`;
  if (info.apEnabled)
    return [
      {
        tone: "bad",
        title: "No Wi-Fi",
        advice:
          `The device is in setup mode and does not mine. Choose its network, save and restart.` +
          (status.wifiTrouble ? ` It could not join ${info.ssid}: ${wifiAdvice(status.wifiTrouble)}` : ""),
        links: [WIFI],
      },
    ];
  if (info.miningPaused) return []; // it leaves its pool then
  const trouble = poolTrouble(status);
  // Without a chip the device does not even look for a pool.
  if (trouble && status.chips.answering)
    return [
      {
        tone: "bad",
        title: status.poolConnected ? "The pool is silent" : "No pool",
        advice: `${status.pool}: ${trouble}. What is hashed meanwhile counts nowhere. The device goes on trying.`,
        links: [POOL],
      },
    ];
  if (unanswered(status))
    return [
      {
        tone: "warn",
        title: "The pool answers no shares",
        advice: `${status.pool}: ${unanswered(status)}. It sends jobs, but whether it counts what it gets is not known.`,
        links: [POOL],
      },
    ];
  if (info.isUsingFallbackStratum && status.poolConnected)
    return [
      {
        tone: "warn",
        title: "Fallback pool in use",
        advice: `The device mines there instead of on ${primary}.`,
        links: [POOL],
      },
    ];
  return [];
}
