/** Names and addresses may be hidden, so that a screenshot tells nobody who owns a device. */

import { device } from "./device.svelte";

const KEY = "softaxe-hidden";
const MASK = "•••••";
/** Shorter names would be found in other words. */
const LEAST_CHARACTERS = 3;
/** Addresses of Bitcoin, IPv4, MAC and IPv6, wherever they stand. */
const PATTERN =
  /\b(?:(?:bc|tb|bcrt)1[a-z0-9]{20,90}|[13][1-9A-HJ-NP-Za-km-z]{25,34}|(?:\d{1,3}\.){3}\d{1,3}|(?:[0-9a-f]{2}:){5}[0-9a-f]{2})\b|(?:[0-9a-f]{1,4}:){3,7}:?[0-9a-f]{1,4}/gi;

class Privacy {
  isOn = $state(localStorage.getItem(KEY) === "1");

  constructor() {
    this.show();
  }

  toggle(): void {
    this.isOn = !this.isOn;
    localStorage.setItem(KEY, this.isOn ? "1" : "0");
    this.show();
  }

  /** For what is no text: fields and pictures. */
  private show(): void {
    document.documentElement.toggleAttribute("data-hidden", this.isOn);
  }
}

export const privacy = new Privacy();

/** A text as it may be shown. */
export function shown(text: string): string {
  if (!privacy.isOn) return text;
  const { info } = device;
  const users = (info?.pools ?? []).map((pool) => pool.stratumUser);
  const own = info ? [info.ssid, info.hostname, info.stratumUser, info.fallbackStratumUser, ...users] : [];
  const names = own.filter((name) => name && name.length >= LEAST_CHARACTERS).sort((a, b) => b.length - a.length);
  return names.reduce((left, name) => left.replaceAll(name, MASK), text).replace(PATTERN, MASK);
}
