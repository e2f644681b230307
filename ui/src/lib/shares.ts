/** Shares of the last minutes: those of days say little about now. */

export interface Shares {
  accepted: number;
  rejected: number;
}

/** The counters at an uptime, in device seconds since boot. */
interface Count extends Shares {
  uptime: number;
}

const WINDOW_S = 600;
/** Fewer rejected ones happen with every pool, by jobs that cross. */
const LEAST_REJECTED = 3;

/** Add a look at the counters; keep those of the window and the last one before it. */
export function counted(counts: Count[], now: Count): Count[] {
  const before = counts.filter(({ uptime }) => uptime < now.uptime); // it may have restarted
  const first = before.findLastIndex(({ uptime }) => now.uptime - uptime >= WINDOW_S);
  return [...before.slice(Math.max(0, first)), now];
}

/** Shares of the window; since the boot while nothing was seen before the window. */
export function lately(counts: Count[]): Shares {
  const [first, last] = [counts[0], counts.at(-1)];
  if (!first || !last) return { accepted: 0, rejected: 0 };
  const isBefore = last.uptime - first.uptime >= WINDOW_S;
  if (!isBefore) return { accepted: last.accepted, rejected: last.rejected };
  return { accepted: last.accepted - first.accepted, rejected: last.rejected - first.rejected };
}

/** How many are rejected, in percent; 0 while those are too few to tell. */
export function rejectedPercent({ accepted, rejected }: Shares): number {
  return rejected < LEAST_REJECTED ? 0 : (rejected / (accepted + rejected)) * 100;
}
