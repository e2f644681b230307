/** Which of the device's rates can be true. */

import type { Info, Status } from "./api";

/**
 * The firmware takes a counter that was reset for one that went round, and shows some
 * hundred thousand times the rate until its next look.
 */
const MOST_TIMES = 3;
const MOST_PERCENT = 100;

/** A rate in GH/s, or null when it is no rate. */
export function credible(gigahashes: number, expected: number): number | null {
  return gigahashes > MOST_TIMES * Math.max(expected, 1) ? null : gigahashes;
}

/** The rate now: the firmware goes on to show the last one of a chip that is off, or that is paused. */
export function currentRate(info: Info, status: Status): number | null {
  return status.chips.hashing && !info.miningPaused ? credible(info.hashRate, info.expectedHashrate) : 0;
}

/** Wrong hashes in percent, or null when the rate they are a part of is none. */
export function errorPercent(info: Info, status: Status): number | null {
  const percent = info.errorPercentage;
  return currentRate(info, status) && percent !== null && percent <= MOST_PERCENT ? percent : null;
}
