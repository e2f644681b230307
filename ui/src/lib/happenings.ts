/** What has happened to a device between two looks at it. */

import type { Info } from "./api";
import type { Mark } from "./drawing";
import { happenings as words } from "$texts";

type Happened = Omit<Mark, "time">;
type Member = keyof typeof words.members;

const UNITS: Partial<Record<Member, string>> = { frequency: "MHz", coreVoltage: "mV", temptarget: "°C", statsFrequency: "s" };
const FLAGS: Member[] = ["autofanspeed"];

/** What is wrong with the device, by its own account. */
function faults(info: Info): string[] {
  return [
    info.overheat_mode ? words.overheated : "",
    info.power_fault ? words.powerFault(info.power_fault) : "",
    info.hardware_fault ? words.hardwareFault(info.hardware_fault) : "",
    info.isUsingFallbackStratum ? words.fallback : "",
  ].filter(Boolean);
}

function text(member: Member, value: unknown): string {
  if (FLAGS.includes(member)) return value ? words.on : words.off;
  return value === "" ? words.none : [String(value), UNITS[member]].filter(Boolean).join(" ");
}

export function happened(before: Info, now: Info): Happened[] {
  const members = Object.keys(words.members) as Member[];
  const settings = members
    .filter((member) => before[member] !== now[member])
    .map((member) => words.changed(words.members[member], text(member, before[member]), text(member, now[member])));
  const isPaused = Boolean(now.miningPaused);
  if (isPaused !== Boolean(before.miningPaused)) settings.push(isPaused ? words.paused : words.resumed);
  const [then, present] = [faults(before), faults(now)];
  const begun = present.filter((fault) => !then.includes(fault));
  const over = then.filter((fault) => !present.includes(fault)).map(words.over);
  const isFound = now.blockFound > before.blockFound;
  return [
    ...settings.map((label) => ({ kind: "setting" as const, label })),
    ...[...begun, ...over].map((label) => ({ kind: "fault" as const, label })),
    ...(isFound ? [{ kind: "block" as const, label: "" }] : []),
  ];
}
