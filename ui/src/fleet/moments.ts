/** Moments of device time, as people write them. */

const SECONDS: Record<string, number> = { s: 1, min: 60, m: 60, h: 3600, d: 86400, day: 86400, days: 86400 };

/** Read "90", "2 h 5 min" or "1d 4h" as seconds; undefined when it is no such text. */
export function secondsOf(text: string): number | undefined {
  const words = text.trim().toLowerCase();
  if (/^\d+(\.\d+)?$/.test(words)) return Number(words);
  const parts = [...words.matchAll(/(\d+(?:\.\d+)?)\s*([a-z]+)\s*/g)];
  if (!parts.length || parts.map(([part]) => part).join("") !== words) return undefined;
  const lengths = parts.map(([, count, unit]) => Number(count) * (SECONDS[unit ?? ""] ?? Number.NaN));
  const sum = lengths.reduce((one, other) => one + other, 0);
  return Number.isNaN(sum) ? undefined : sum;
}

/** As an input of type `datetime-local` has it, in the reader's time zone. */
export function asLocal(unixS: number): string {
  const moment = new Date(unixS * 1000);
  return new Date(moment.getTime() - moment.getTimezoneOffset() * 60_000).toISOString().slice(0, 16);
}
