/** All that a person reads on the two pages, in English.
 *
 * A translation is a copy of this file in another language: the build takes `texts/LANG.ts`
 * for `SOFTAXE_PAGE_LANGUAGE=LANG` and the types say what it lacks. One export for each component,
 * in the order of the files; what holds a value is a function of it.
 */

// ---------------------------------------------------------------- both pages

/** Chart.svelte */

/** Units and counts: lib/format.ts, Bars.svelte */
export const format = {
  noTime: "0 s",
  /** From the largest on: seconds in one, and its unit. */
  times: [
    [86400, "d"],
    [3600, "h"],
    [60, "min"],
    [1, "s"],
  ] as [number, string][],
  signal: ["none", "weak", "fair", "good", "excellent"],
  bars: (word: string, bars: number) => `Signal ${word}, ${bars} of 4 bars`,
  onlySpeed: (speed: string) => `Only ${speed}× is reached`,
  lessThanAMinute: "less than a minute",
  /** Where there is no value. */
  unknown: "–",
};

/** What is between the page and the device: lib/api.ts */
export const answers = {
  late: "The device takes too long to answer.",
  unreadable: "What the device answers cannot be read.",
  none: "The device does not answer.",
  cutOff: "The device's answer breaks off.",
  uploadCutOff: "The connection broke off during the upload.",
  notLetIn:
    "The device does not let this page in (401): like the firmware, it answers private addresses only. " +
    "Open it at one, or start softaxe with --allow-network.",
  status: (status: number) => `The device answers ${status}.`,
  refused: (status: number, reason: string) => `The device answers ${status}: ${reason}`,
};

// ---------------------------------------------------------------- a device's page

/** App.svelte */
export const app = {
  skip: "Skip to the page",
  pages: "Pages",
  titles: { dashboard: "Dashboard", settings: "Settings", update: "Update", logs: "Logs", screen: "Screen" },
  work: {
    scaled: ["Scaled work", "Each searched hash stands for 2³² hashes of the chip. Only the built-in pool accepts this."],
    real: ["Real work", "Every hash counted here was computed. Any pool may check the shares."],
  } as Record<string, [string, string]>,
  restarting: "Restarting",
  noAnswer: "No answer",
  connecting: "Connecting",
  stands: "Time paused",
  speed: (speed: string) => `Speed ${speed}×`,
  itsTime: "Charts and uptimes are in the device's time.",
  unsaved: "Changes not saved",
  waits: (isAway: boolean, cause: string) =>
    `${isAway ? "The device is away" : "The device is about to go away"} (${cause}). This page waits until it is back.`,
  /** What stands behind the reason why there is no news. */
  old: "What you see is the last it said.",
  tryingAgain: "Trying again every second.",
  close: "Close",
  hide: "Hide names and addresses",
  show: "Show names and addresses",
  hideHint: "For screenshots: hides users, addresses, names and networks",
  softaxe: (version: string) => `This is softaxe${version}`,
  model: ", a Bitaxe in software. API, pool link and searched nonces are real; chip, power and heat are a model.",
  fleet: "Fleet",
  api: "API",
  recovery: "Recovery",
  colours: "Colours",
  schemes: { auto: "System colours", light: "Light", dark: "Dark" },
};

/** What is said once: lib/device.svelte.ts */
export const notices = {
  back: (seconds: number, more: string) => `The device is back after ${seconds} s. ${more}`.trim(),
  restarted: (reason: string) => `The device has restarted by itself. ${reason}`.trim(),
  again: "The device answers again.",
  restart: "restart",
};

/** pages/Dashboard.svelte */
export const dashboard = {
  title: "Dashboard",
  asking: "Asking the device…",
  pause: "Pause mining",
  resume: "Resume mining",
  history: "History shown",
  zoomOut: "Zoom out",
  restart: "Restart",
  readings: "Readings",
  block: {
    title: "Block found!",
    /** Height and how long ago, where they are known. */
    at: (height: string, ago: string) => `${height ? `At height ${height}` : "By this device"}, ${ago} ago.`,
    since: "Since the device started.",
    many: (count: number) => `${count} blocks found since the start.`,
    dismiss: "Dismiss",
  },
  hashrate: "Hash rate",
  ofExpected: (percent: string, expected: string) => `${percent} % of the expected ${expected}`,
  counterReset: "The chip's counter was reset; wait for the next reading.",
  paused: "Mining is paused.",
  notHashing: "Not hashing",
  realWork: (expected: string) => `Hashes of a CPU; the chip itself would do ${expected}.`,
  averages: { hashRate_1m: "1 min", hashRate_10m: "10 min", hashRate_1h: "1 h" },
  efficiency: "Efficiency",
  hashErrors: (percent: string) => `${percent} % hash errors`,
  errorsUnknown: "Hash errors unknown",
  noEfficiency: "Unknown while nothing is hashed",
  noEfficiencyOfCpu: "Unknown with real work",
  shares: "Shares",
  accepted: "accepted",
  rejected: (count: string, percent: string) => `${count} rejected${percent ? `, ${percent} %` : ""}`,
  best: "Best difficulty",
  bestSession: (value: string) => `${value} since the start`,
  uptime: "Uptime",
  limits: {
    title: "Limits",
    power: "Power",
    input: "Input voltage",
    core: "Core voltage",
    chip: "Chip",
    chip2: "Second sensor",
    regulator: "Voltage regulator",
    fan: "Fan",
    fan2: "Second fan",
    rate: "Hash rate",
    target: (value: string) => `target ${value}`,
    limit: (value: string) => `limit ${value}`,
    supply: (value: string) => `supply limit ${value}`,
    nominal: (value: string) => `nominal ${value}`,
    set: (value: string) => `set ${value}`,
    manual: "manual",
    automatic: (least: string) => (least ? `automatic, minimum ${least}` : "automatic"),
    off: "off",
    stands: "does not turn",
    /** For those who do not see colours. */
    near: "near the limit",
    over: "over the limit",
    low: "too low",
    high: "too high",
  },
  charts: {
    chip: "Chip",
    regulator: "Regulator",
    temperature: "Temperature",
    power: "Power",
    fan: "Fan",
    hint: "Drag over a chart to zoom in; double click to zoom out.",
    noStatistics: "The device records no statistics itself; the charts hold what this browser has seen.",
    interval: "Statistics interval",
  },
  pool: {
    title: "Pool",
    inUse: "In use",
    primary: "primary",
    fallback: "fallback",
    connection: "Connection",
    connected: "connected",
    by: "Reached by",
    user: "User",
    response: "Response time",
    difficulty: "Share difficulty",
    height: "Block height",
    network: "Network difficulty",
    coinbase: "Coinbase text",
    page: (host: string) => `Statistics at ${host}`,
    leaves: "opens the pool's website",
    use: { primary: "Switch to the primary pool", fallback: "Switch to the fallback pool" },
    ask: (pool: string) => `The device restarts and mines on ${pool}.`,
    switch: "Switch and restart",
    cancel: "Cancel",
    switching: "switch of the pool",
  },
  rejects: {
    title: "Shares and luck",
    accepted: "Accepted",
    rejected: "Rejected",
    pending: "Not answered yet",
    none: "No share was rejected.",
    percent: (percent: string) => `${percent} %`,
    ever: "Best ever",
    session: "Best since the start",
    meter: (best: string, network: string) => `Best share ${best} of ${network}, on a logarithmic scale`,
    ofBlock: (percent: number) => `The best share reached ${percent} % of a block's difficulty (the bar is logarithmic).`,
    wouldBeBlock: "The best share would have been a block.",
  },
  chip: {
    title: "Chip",
    many: "Chips",
    model: "Model",
    cores: "Cores",
    frequency: "Frequency",
    actual: (mhz: string) => `now ${mhz}`,
    coreVoltage: "Core voltage",
    of: (value: string) => `of ${value}`,
    rate: "Expected hash rate",
    domains: "Hash rate of each domain",
    number: (number: number) => `Chip ${number}`,
    errors: (count: string) => `${count} errors counted`,
    noDomains: "This firmware does not tell the hash rate of each domain.",
  },
  network: {
    title: "Network",
    hostname: "Hostname",
    wifi: "Wi-Fi",
    state: "Wi-Fi status",
    ipv4: "IPv4",
    ipv6: "IPv6",
    mac: "MAC",
    noAddress: "none",
  },
  system: {
    title: "System",
    board: "Board",
    firmware: "Firmware",
    partition: (label: string) => `in ${label}`,
    page: "AxeOS page",
    idf: "ESP-IDF",
    reset: "Reset reason",
    cpu: "CPU usage",
    heap: "Free heap",
    internal: "internal",
    psram: "PSRAM",
    hasPsram: "PSRAM",
    yes: "yes",
    no: "no",
    least: "Least free heap",
    largest: "Largest free block",
    total: "Uptime ever",
  },
};

/** Why a pool refuses a share, and what to do: lib/pool.ts */
export const refusals = {
  low: "The share's difficulty is below the pool's. One or two after a change of difficulty are normal; many mean hash errors or a pool that counts otherwise.",
  stale: "The job was over: a new block had come. Up to 1 % is normal; more means a slow network or a far pool.",
  unknownJob: "The pool does not know the job any more. After a new block that is normal; often means a slow or lossy connection.",
  duplicate: "The same share came twice. The device may have lost its connection; many mean a fault of the firmware or of a proxy.",
  unauthorized: "The pool does not know this user. Check the user in the pool's settings: most want a Bitcoin address.",
  unsubscribed: "The pool had not set up this connection yet. It passes; else restart the device.",
  time: "The share's time is outside what the pool allows. Its job was too old, or the pool's clock is wrong.",
  version: "The pool does not allow the version bits that the chip rolled. Use a pool that allows version rolling.",
  malformed: "The pool could not read the share: device and pool, or a proxy between them, do not fit together.",
  untold: "The pool gives no reason.",
  unknown: "The pool gives a reason that is not known here. Ask the pool what it means.",
};

/** lib/problems.ts */
export const problems = {
  links: {
    pool: "Pool settings",
    chip: "Chip settings",
    cooling: "Cooling settings",
    wifi: "Wi-Fi settings",
    settings: "Settings",
    logs: "Logs",
  },
  states: {
    paused: "Paused",
    starting: "Starting",
    rejected: "Shares rejected",
    unanswered: "Shares unanswered",
    slow: "Too slow",
    mining: "Mining",
    notMining: "Not mining",
  },
  neverAnswered: "no answer since the start",
  notConnected: (time: string) => `not connected for ${time}`,
  silent: (time: string) => `silent for ${time}`,
  unanswered: (shares: string, time: string) => `${shares} without an answer for ${time}`,
  share: "share",
  loop: ["Restarts again and again", (times: number, reason: string) => `${times} times in the last 5 min.${reason ? ` Last reset reason: ${reason}.` : ""}`],
  rejected: [
    "Shares rejected",
    (pool: string, rejected: string, all: string, percent: string) =>
      `${pool} has rejected ${rejected} of the last ${all} shares, ${percent} %. They earn nothing. Its reasons stand below, with what to do.`,
  ],
  asked: ["Not as the API page asks", (warnings: string) => `${warnings}. The device takes it all the same.`],
  powerFault: [
    "Power fault",
    (fault: string, isRecovering: boolean) =>
      `${fault} The regulator gives the chip no power. ` +
      (isRecovering
        ? "The recovery from overheating clears this."
        : "Check the power supply; a restart clears the fault once its cause is gone."),
  ],
  hardwareFault: "Hardware fault",
  noChip: ["No chip", "No chip answered when the device started, so it does not mine. A restart tries again."],
  notHashing: ["Not hashing", "The chip was found when the device started and has stopped since. A restart tries again."],
  deadChips: [(dead: number, of: number) => `${dead} of ${of} chips do not hash`, "A dead chip cuts off those behind it."],
  hashErrors: [
    "Hash errors",
    (percent: string) => `${percent} % of the hashes are wrong: the core voltage is too low for the frequency.`,
  ],
  slow: ["Too slow", (percent: string) => `The chip reaches ${percent} % of the hash rate that is expected at its frequency.`],
  overheated: [
    "Overheated",
    {
      restarted:
        "The overheat protection acted, and a restart ended it: the chip runs at its old frequency and core voltage, " +
        "with a manual fan speed. Check the fan, then clear the overheat mode.",
      failed:
        "The overheat protection switched the chip off and could not start it again. Check the fan; raise frequency and " +
        "core voltage if they were lowered too far; then restart.",
      off:
        "The overheat protection switched the chip off. Where the board can, it starts again once it is cool, with a " +
        "lower frequency and core voltage; else restart it then. Until then it reads neither power nor heat. Check the fan.",
    },
  ],
  reduced: [
    "Slower after overheating",
    (frequency: string, voltage: string, isManual: boolean) =>
      `The overheat protection lowered the frequency ${frequency} and the core voltage ${voltage}, and does not raise ` +
      `them again.${isManual ? " The fan speed is manual since." : ""}`,
  ],
  change: (before: number, after: number, unit: string) => `from ${before} to ${after} ${unit}`,
  noWifi: [
    "No Wi-Fi",
    (trouble: string) => `The device is in setup mode and does not mine. Choose its network, save and restart.${trouble}`,
  ],
  notJoined: (ssid: string, why: string) =>
    ` It could not join ${ssid}: ${why}. While this page is open the device does not try again.`,
  wrongPassword: "the password is wrong",
  pool: {
    silent: "The pool is silent",
    none: "No pool",
    advice: (pool: string, trouble: string) =>
      `${pool}: ${trouble}. What is hashed meanwhile counts nowhere. The device goes on trying.`,
  },
  poolUnanswered: [
    "The pool answers no shares",
    (pool: string, trouble: string) => `${pool}: ${trouble}. It sends jobs, but whether it counts what it gets is not known.`,
  ],
  fallback: ["Fallback pool in use", (primary: string) => `The device mines there instead of on ${primary}.`],
} as const;

/** pages/Logs.svelte */
export const logs = {
  title: "Logs",
  paused: (lines: string) => `Paused, ${lines} held back.`,
  line: "line",
  live: "Live.",
  connecting: "Connecting…",
  filter: "Filter",
  level: "Level",
  levels: { EWIDV: "All levels", EW: "Warnings and errors", E: "Errors" } as Record<string, string>,
  tag: "Tag",
  allTags: "All tags",
  wrap: "Wrap lines",
  resume: "Resume",
  pause: "Pause",
  clear: "Clear",
  download: "Download",
  log: "Log",
  noMatch: "No line matches.",
  empty: "Nothing yet. Lines appear as the device prints them.",
  count: (shown: string, all: string) => `${shown} of the last ${all} lines; older ones are dropped after 1,000.`,
  earlier: (count: string) => `${count} from before this page was opened.`,
  restarted: "Restarted",
};

/** pages/Screen.svelte */
export const screen = {
  title: "Screen",
  asking: "Asking the device…",
  none: "This device shows no picture of its screen.",
  live: "Live, a picture each second.",
  picture: (host: string) => `The screen of ${host}, live`,
  device: "the device",
  button: "Button",
  short: "Short press",
  shortHint: "shows the next page",
  long: "Long press",
  longHint: "switches the access point on or off",
  pages: "All pages",
  shown: "shown now",
  names: {
    bitaxe: "Start",
    osmu: "Logo",
    urls: "Pool and address",
    stats: "Hash rate",
    mining: "Block",
    wifi: "Wi-Fi",
  } as Record<string, string>,
};

/** pages/Settings.svelte, Field.svelte, lib/form.svelte.ts, lib/rules.ts */

/** Pools.svelte */

/** pages/Update.svelte */

// ---------------------------------------------------------------- the fleet's page

/** fleet/Fleet.svelte */

/** fleet/Devices.svelte, fleet/table.ts */

/** fleet/Device.svelte: one device of the fleet */

/** fleet/Faults.svelte */

/** fleet/Journal.svelte */

/** fleet/Pool.svelte */

/** fleet/Manage.svelte */

/** fleet/CopyAs.svelte */
export const copyAs = {
  label: "Copy as",
  copied: "copied",
  noStep: "No step of a scenario does this.",
};
