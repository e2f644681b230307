/** What is wrong, in words. */

import type { Info } from "./api";
import { number } from "./format";

const SETTLED_S = 60;
const BAD_ERROR_PERCENT = 5;

export interface Problem {
  title: string;
  advice: string;
}

export function problems(info: Info): Problem[] {
  const found: Problem[] = [];
  const add = (title: string, advice: string): void => void found.push({ title, advice });
  if (info.overheat_mode)
    add("Overheated", "The protection switched the chip off until it is cool. Check the fan, then the voltage.");
  if (info.power_fault) add("Power fault", `${info.power_fault} The regulator switched off; restart the device.`);
  if (info.hardware_fault) add("Hardware fault", info.hardware_fault);
  if (info.apEnabled)
    add("No Wi-Fi", `The device is in setup mode and does not mine. ${info.wifiStatus}`);
  else if (!info.poolAddrFamily)
    add("No pool", `The device is not connected. Primary is ${info.stratumURL}:${info.stratumPort}.`);
  if (info.isUsingFallbackStratum && info.poolAddrFamily)
    add("Fallback pool in use", `The device mines there instead of on ${info.stratumURL}:${info.stratumPort}.`);
  if (info.uptimeSeconds > SETTLED_S && !info.hashRate && !info.overheat_mode && info.poolAddrFamily)
    add("No hashes", "The chip is on but finds nothing.");
  if (info.errorPercentage > BAD_ERROR_PERCENT)
    add(
      "Hash errors",
      `${number(info.errorPercentage, 1)} % of the hashes are wrong: the core voltage is too low for the frequency.`,
    );
  return found;
}
