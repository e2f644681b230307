/** What the device does, and what is wrong with it, in words. */

import type { Asic, Info, Status } from "./api";
import { duration, number } from "./format";
import { errorPercent } from "./rates";

/** After its boot a device may take so long to mine. */
const SETTLED_S = 60;
/** So long a pool may be away or say nothing: it has jobs about twice a minute. */
const RECONNECT_S = 10;
const SILENT_S = 120;
/** A pool that answers no share for so long answers none; some answer many at once. */
const UNANSWERED_S = 300;
const BAD_ERROR_PERCENT = 5;

export type Tone = "good" | "warn" | "bad";

export interface Problem {
  tone: Tone;
  title: string;
  advice: string;
  /** Where something can be done, and what that place is called. */
  links: [string, string][];
}

const POOL: [string, string] = ["#/settings/pool", "Pool settings"];
const CHIP: [string, string] = ["#/settings/chip", "Chip settings"];
const COOLING: [string, string] = ["#/settings/cooling", "Cooling settings"];
const WIFI: [string, string] = ["#/settings/wifi", "Wi-Fi settings"];
const RESTART: [string, string] = ["#/settings", "Restart"];
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

/** What the device does, in a word. */
export function state(info: Info, status: Status): [Tone, string] {
  if (info.miningPaused) return ["warn", "Paused"];
  if (status.chips.hashing && status.poolConnected && !poolTrouble(status))
    return unanswered(status) ? ["warn", "Unanswered"] : ["good", "Mining"];
  const isStarting = status.bootMs / 1000 <= SETTLED_S && !info.apEnabled && !info.overheat_mode;
  return isStarting ? ["warn", "Starting"] : ["bad", "Not mining"];
}

export function problems(info: Info, status: Status, asic: Asic | undefined): Problem[] {
  return [...chip(info, status, asic?.asicCount ?? 1), ...network(info, status), ...asked(status)];
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
      links: isRecovering ? [] : [RESTART],
    });
  if (info.hardware_fault) found.push({ tone: "bad", title: "Hardware fault", advice: info.hardware_fault, links: [] });
  if (found.length || info.apEnabled || info.miningPaused || status.bootMs / 1000 <= SETTLED_S) return found;
  const isWorking = status.poolConnected && !poolTrouble(status);
  if (!answering)
    found.push({
      tone: "bad",
      title: "No chip",
      advice: "No chip answered when the device started, so it does not mine. A restart tries again.",
      links: [RESTART],
    });
  else if (!hashing && isWorking)
    found.push({
      tone: "bad",
      title: "The chip does not hash",
      advice: "It was found when the device started and has stopped since. A restart tries again.",
      links: [RESTART],
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
      links: [CHIP, RESTART],
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

function network(info: Info, status: Status): Problem[] {
  const primary = `${info.stratumURL}:${info.stratumPort}`;
  if (info.apEnabled)
    return [
      {
        tone: "bad",
        title: "No Wi-Fi",
        advice:
          `The device is in setup mode and does not mine. Choose its network, save and restart.` +
          (info.wifiStatus.startsWith("Initializing") ? "" : ` Its radio says: ${info.wifiStatus}`),
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
