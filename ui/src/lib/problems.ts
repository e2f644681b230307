/** What the device does, and what is wrong with it, in words. */

import type { Asic, Info, Status } from "./api";
import { problems as texts } from "$texts";
import { counted, number, roughly } from "./format";
import { currentRate, errorPercent } from "./rates";
import { isCrash } from "./history";
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
/** Of the nominal input voltage: an estimate, as for the bar of it. */
const LEAST_INPUT = 0.9;
const MOST_REJECTED_PERCENT = 5;
const BAD_REJECTED_PERCENT = 50;
/** A restart or two is somebody's wish, but not by a crash. */
const RESTARTS = 3;
const CRASHES = 2;

export type Tone = "good" | "warn" | "bad";

export interface Problem {
  tone: Tone;
  title: string;
  advice: string;
  /** Where something can be done, and what that place is called. */
  links: [string, string][];
  /** A restart may help; of several only the first says so. */
  restarts?: boolean;
}

/** What only somebody knows who has looked for a while. */
export interface Past {
  /** Of the last minutes. */
  shares: Shares;
  /** Restarts of the last minutes. */
  restarts: number;
}

const POOL: [string, string] = ["#/settings/pool", texts.links.pool];
const CHIP: [string, string] = ["#/settings/chip", texts.links.chip];
const COOLING: [string, string] = ["#/settings/cooling", texts.links.cooling];
const WIFI: [string, string] = ["#/settings/wifi", texts.links.wifi];
const SETTINGS: [string, string] = ["#/settings", texts.links.settings];

/** How the pool is, or an empty text when it is well. */
export function poolTrouble(status: Status): string {
  const silent = status.poolSilentSeconds;
  if (silent === null) return status.bootMs / 1000 > SETTLED_S ? texts.neverAnswered : "";
  if (!status.poolConnected) return silent > RECONNECT_S ? texts.notConnected(roughly(silent)) : "";
  return silent > SILENT_S ? texts.silent(roughly(silent)) : "";
}

/** Whether the pool answers shares; an empty text when it does. */
export function unanswered(status: Status): string {
  const { unansweredShares: shares, unansweredSeconds: seconds } = status;
  return seconds < UNANSWERED_S ? "" : texts.unanswered(counted(shares, texts.share), roughly(seconds));
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
  if (info.miningPaused) return ["warn", texts.states.paused];
  const isYoung = status.bootMs / 1000 <= SETTLED_S;
  if (status.chips.hashing && status.poolConnected && !poolTrouble(status)) {
    if (isYoung && !info.hashRate) return ["warn", texts.states.starting];
    if (isRejected(shares)) return [rejectedPercent(shares) > BAD_REJECTED_PERCENT ? "bad" : "warn", texts.states.rejected];
    if (unanswered(status)) return ["warn", texts.states.unanswered];
    return isSlow(info, status) ? ["warn", texts.states.slow] : ["good", texts.states.mining];
  }
  const isStarting = isYoung && !info.apEnabled && !info.overheat_mode;
  return isStarting ? ["warn", texts.states.starting] : ["bad", texts.states.notMining];
}

export function problems(info: Info, status: Status, asic: Asic | undefined, past: Past): Problem[] {
  const found = [
    ...loop(info, past),
    ...chip(info, status, asic?.asicCount ?? 1),
    ...network(info, status),
    ...rejected(status, past.shares),
    ...asked(status),
  ];
  const first = found.findIndex(({ restarts }) => restarts);
  return found.map((problem, at) => ({ ...problem, restarts: at === first }));
}

function loop(info: Info, { restarts }: Past): Problem[] {
  if (restarts < (isCrash(info.resetReason) ? CRASHES : RESTARTS)) return [];
  const [title, advice] = texts.loop;
  return [{ tone: "bad", title, advice: advice(restarts, info.resetReason), links: [["#/logs", texts.links.logs]] }];
}

function rejected(status: Status, shares: Shares): Problem[] {
  if (!isRejected(shares)) return [];
  const percent = rejectedPercent(shares);
  const [title, words] = texts.rejected;
  const all = number(shares.accepted + shares.rejected);
  const advice = words(status.pool, number(shares.rejected), all, number(percent));
  return [{ tone: percent > BAD_REJECTED_PERCENT ? "bad" : "warn", title, advice, links: [POOL] }];
}

function asked(status: Status): Problem[] {
  if (!status.warnings.length) return [];
  const [title, advice] = texts.asked;
  return [{ tone: "warn", title, advice: advice(status.warnings.join("; ")), links: [SETTINGS] }];
}

function chip(info: Info, status: Status, count: number): Problem[] {
  const found: Problem[] = [];
  const { answering, hashing } = status.chips;
  const errors = errorPercent(info, status) ?? 0;
  const isRecovering = info.overheat_mode > 0 && answering > 0;
  if (info.overheat_mode) found.push(overheated(status));
  if (info.power_fault)
    found.push({
      tone: "bad",
      title: texts.powerFault[0],
      advice: texts.powerFault[1](info.power_fault, isRecovering),
      links: [],
      restarts: !isRecovering,
    });
  if (info.hardware_fault) found.push({ tone: "bad", title: texts.hardwareFault, advice: info.hardware_fault, links: [] });
  if (found.length || info.apEnabled || info.miningPaused || status.bootMs / 1000 <= SETTLED_S) return found;
  if (info.fanspeed > 0 && !info.fanrpm)
    found.push({ tone: "bad", title: texts.fan[0], advice: texts.fan[1](number(info.fanspeed)), links: [COOLING] });
  if (info.voltage / 1000 < LEAST_INPUT * info.nominalVoltage)
    found.push({
      tone: "bad",
      title: texts.input[0],
      advice: texts.input[1](number(info.voltage / 1000, 2), number(info.nominalVoltage)),
      links: [],
    });
  const isWorking = status.poolConnected && !poolTrouble(status);
  if (!answering)
    found.push({
      tone: "bad",
      title: texts.noChip[0],
      advice: texts.noChip[1],
      links: [],
      restarts: true,
    });
  else if (!hashing && isWorking)
    found.push({
      tone: "bad",
      title: texts.notHashing[0],
      advice: texts.notHashing[1],
      links: [],
      restarts: true,
    });
  else if (hashing && hashing < count)
    found.push({
      tone: "bad",
      title: texts.deadChips[0](count - hashing, count),
      advice: texts.deadChips[1],
      links: [],
    });
  if (errors > BAD_ERROR_PERCENT)
    found.push({
      tone: "bad",
      title: texts.hashErrors[0],
      advice: texts.hashErrors[1](number(errors)),
      links: [CHIP],
    });
  const reached = reachedPercent(info, status) ?? 100;
  if (!found.length && reached < LEAST_RATE_PERCENT)
    found.push({
      tone: "warn",
      title: texts.slow[0],
      advice: texts.slow[1](number(reached)),
      links: [CHIP],
    });
  return [...found, ...reduced(info, status)];
}

function overheated({ chips }: Status): Problem {
  const [title, advice] = texts.overheated;
  if (chips.hashing) return { tone: "bad", title, advice: advice.restarted, links: [COOLING] };
  if (!chips.answering) return { tone: "bad", title, advice: advice.failed, links: [CHIP], restarts: true };
  return { tone: "bad", title, advice: advice.off, links: [COOLING] };
}

/** What a recovery has left behind, until somebody changes it. */
function reduced(info: Info, status: Status): Problem[] {
  const left = status.overheatReduction;
  if (!left || info.frequency !== left.frequency || info.coreVoltage !== left.coreVoltage) return [];
  const [title, advice] = texts.reduced;
  const frequency = texts.change(left.frequencyBefore, left.frequency, "MHz");
  const voltage = texts.change(left.coreVoltageBefore, left.coreVoltage, "mV");
  return [{ tone: "warn", title, advice: advice(frequency, voltage, !info.autofanspeed), links: [CHIP, COOLING] }];
}

/** The radio's words where they are an owner's own mistake. */
const WRONG_PASSWORD = /^Incorrect password entered$/;

function network(info: Info, status: Status): Problem[] {
  if (info.apEnabled) {
    const [title, advice] = texts.noWifi;
    const why = WRONG_PASSWORD.test(status.wifiTrouble) ? texts.wrongPassword : status.wifiTrouble;
    return [{ tone: "bad", title, advice: advice(why && texts.notJoined(info.ssid, why)), links: [WIFI] }];
  }
  if (info.miningPaused) return []; // it leaves its pool then
  const trouble = poolTrouble(status);
  // Without a chip the device does not even look for a pool.
  if (trouble && status.chips.answering)
    return [
      {
        tone: "bad",
        title: status.poolConnected ? texts.pool.silent : texts.pool.none,
        advice: texts.pool.advice(status.pool, trouble),
        links: [POOL],
      },
    ];
  if (unanswered(status))
    return [
      {
        tone: "warn",
        title: texts.poolUnanswered[0],
        advice: texts.poolUnanswered[1](status.pool, unanswered(status)),
        links: [POOL],
      },
    ];
  if (info.isUsingFallbackStratum && status.poolConnected)
    return [
      {
        tone: "warn",
        title: texts.fallback[0],
        advice: texts.fallback[1](`${info.stratumURL}:${info.stratumPort}`),
        links: [POOL],
      },
    ];
  return [];
}
