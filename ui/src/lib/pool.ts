/** What the page knows of pools: where they tell of a worker, and what their refusals mean. */

import { refusals } from "$texts";

/** By the end of a host's name; `$` stands for the address, `*` for what the name begins with. */
const PAGES: [RegExp, string][] = [
  [/(^|\.)public-pool\.io$/, "https://web.public-pool.io/#/app/$"],
  [/^(eu|au)?solo[46]?\.ckpool\.org$/, "https://*solostats.ckpool.org/users/$"],
  [/(^|\.)ocean\.xyz$/, "https://ocean.xyz/stats/$"],
  [/(^|\.)solo\.stratum\.braiins\.com$/, "https://solo.braiins.com/stats/$"],
  [/(^|\.)parasite\.wtf$/, "https://parasite.space/user/$"],
  [/(^|\.)nerdminer\.de$/, "https://pool.nerdminer.de/#/app/$"],
  [/(^|\.)solomining\.de$/, "https://pool.solomining.de/#/app/$"],
  [/(^|\.)yourdevice\.ch$/, "https://blitzpool.yourdevice.ch/#/app/$"],
  [/(^|\.)noderunners\.network$/, "https://noderunners.network/en/pool/user/$"],
  [/(^|\.)satoshiradio\.nl$/, "https://pool.satoshiradio.nl/user/$"],
  [/(^|\.)solohash\.co\.uk$/, "https://solohash.co.uk/user/$"],
  [/(^|\.)sololuck\.io$/, "https://sololuck.io/users/$"],
  [/(^|\.)atlaspool\.io$/, "https://atlaspool.io/dashboard.html?wallet=$"],
];

/** The pool's page of a user: the part of its name before the first full stop; undefined where none is known. */
export function poolPage(host: string, user: string): string | undefined {
  const name = host.toLowerCase();
  const address = encodeURIComponent(user.split(".")[0] ?? "");
  const [pattern, page] = PAGES.find(([known]) => known.test(name)) ?? [];
  if (!page || !address) return undefined;
  return page.replace("*", pattern?.exec(name)?.[1] ?? "").replace("$", () => address);
}

/** Words that pools of either protocol refuse shares with, the first that fits counts. */
const REASONS: [RegExp, keyof typeof refusals][] = [
  [/^(unknown|rejected|other|)$/i, "untold"],
  [/duplicate/i, "duplicate"],
  [/low.?diff|difficulty.?(too.?)?low|above.?target|high.?hash|h-not-zero/i, "low"],
  [/stale|prevblk/i, "stale"],
  [/n?time/i, "time"],
  [/version/i, "version"],
  [/unauthori[sz]ed|worker|authoriz/i, "unauthorized"],
  [/not.?subscribed|channel/i, "unsubscribed"],
  [/job|unknown.?work/i, "unknownJob"],
  [/malformed|invalid|array|size|incorrect/i, "malformed"],
];

/** What a pool's reason means, and what to do. */
export const meaning = (reason: string): string =>
  refusals[REASONS.find(([words]) => words.test(reason))?.[1] ?? "unknown"];
