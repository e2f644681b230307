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
  noRateYet: "No hash rate measured yet",
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
    automatic: (least: string) => (least ? `auto, min ${least}` : "auto"),
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
export const settings = {
  title: "Settings",
  identify: "Identify",
  restart: "Restart",
  restartToApply: "Restart to apply",
  waiting: "Waiting for a restart:",
  meanwhile: "Changed meanwhile:",
  keptYours: "what you typed is kept",
  more: (count: number) => `and ${count} more`,
  close: "Close",
  find: "Find a setting",
  nothingFound: (words: string) => `No setting is called “${words}”.`,
  showAll: "Show all",
  legend: "takes effect after a restart",
  parts: "Sections",
  advanced: "Advanced",
  tryAgain: "Try again",
  sections: {
    pool: "Pool",
    pools: "Pools",
    chip: "Chip",
    cooling: "Cooling",
    wifi: "Wi-Fi",
    display: "Display",
    statistics: "Statistics",
    others: "Other",
  },
  primary: "Primary pool",
  fallback: "Fallback pool",
  slotsHint: "An edited pool is used with the next connection. Which pools are primary and fallback is read at the start.",
  /** What a setting is called, and what it is for; others are shown with what the device says of them. */
  fields: {
    primaryPoolIndex: ["Primary pool", "Mined on first."],
    secondaryPoolIndex: ["Fallback pool", "Mined on while the primary does not answer."],
    useFallbackStratum: ["Use the fallback pool", "Mine there from the start and stay there, even when the primary answers."],
    frequency: ["Frequency", "Clock of the chip. More gives more hashes, power and heat."],
    coreVoltage: ["Core voltage", "More keeps a fast chip free of errors, and makes more heat."],
    overclockEnabled: ["Allow overclocking", "Frequencies and voltages beyond the board's presets."],
    autofanspeed: ["Automatic fan control", "The fan holds the temperature target by itself."],
    temptarget: ["Temperature target", "Of the chip; the automatic control holds it where the fan can."],
    minFanSpeed: ["Minimum fan speed", "The automatic control does not go below it."],
    manualFanSpeed: ["Fan speed", "While the automatic control is off."],
    fanspeed: ["Fan speed", "While the automatic control is off."],
    overheat_mode: ["Overheat mode", "The overheat protection sets it. Clear it, so that the device mines as before."],
    ssid: ["Wi-Fi network", "Its name (SSID)."],
    wifiPass: ["Wi-Fi password", "Empty for an open network."],
    hostname: ["Hostname", "What the device is called on the network."],
    display: ["Display type", "Which screen is built in."],
    rotation: ["Rotation", "Turns the picture on the screen."],
    flipscreen: ["Flip screen", "Turns the picture upside down, for how the screen is built in."],
    invertscreen: ["Invert screen", "Dark on light instead of light on dark."],
    displayOffset: ["Display offset", "First line that an SH1107 screen shows."],
    displayTimeout: ["Display timeout", "When the screen goes dark if nobody presses the button."],
    statsFrequency: ["Statistics interval", "How often the device records a sample for its charts."],
    statsLimit: ["Statistics rows", "Most samples that are kept; 0 keeps none."],
    statsDuration: ["Statistics time span", "How far back the samples reach."],
    useCustomWWW: ["Custom web page", "Show the page of the web page image, not the firmware's own."],
  } as Record<string, [string, string]>,
  /** The same of a pool, without `stratum` or `fallbackStratum`. */
  poolFields: {
    URL: ["Host", "Name or address of the pool, such as public-pool.io."],
    Port: ["Port", "TCP port of the pool."],
    User: ["User", "Usually your Bitcoin address, a full stop and a name for this device."],
    Password: ["Password", "Most pools take anything; x is usual."],
    Protocol: ["Protocol", "Every pool speaks Stratum v1. Stratum v2 is encrypted; few pools speak it."],
    TLS: ["Encryption (TLS)", "Only at a port where the pool speaks TLS."],
    Cert: ["Certificate", "Of the pool or of who vouches for it, as PEM text."],
    V2ChannelType: ["Channel", "Extended: the device builds its own headers. Standard: the pool hands them out."],
    V2AuthorityPubkey: ["Authority key", "Public key that vouches for the pool, in base58."],
    V2RequireAuth: ["Require the authority key", "Mine only where the pool proves that it has it."],
    SuggestedDifficulty: ["Suggested difficulty", "Share difficulty to ask for; 0 asks for none. The pool need not follow."],
    ExtranonceSubscribe: ["Extranonce subscription", "Let the pool change the extranonce on an open connection."],
    DecodeCoinbase: ["Decode coinbase", "Read block height and payouts from the pool's jobs."],
  } as Record<string, [string, string]>,
  /** Of values with a meaning of their own; under `other` stands how a number is chosen. */
  special: {
    displayTimeout: { "-1": "Always on", "0": "Always off", other: "Off after" },
    statsFrequency: { "0": "Off", other: "Every" },
  } as Record<string, Record<string, string>>,
  codes: {
    TLS: { "0": "Off", "1": "On, certificate from a known authority", "2": "On, certificate below" },
    Protocol: { SV1: "Stratum v1", SV2: "Stratum v2" },
    V2ChannelType: { extended: "Extended", standard: "Standard" },
    rotation: { "0": "None" },
    display: { NONE: "None" },
  } as Record<string, Record<string, string>>,
  usual: (text: string) => `${text} (default)`,
  presets: "Presets",
  number: (label: string) => `${label}, number`,
  slider: (label: string) => `${label}, slider`,
  on: "on",
  off: "off",
  empty: "empty",
  changedSecret: "new",
  unchanged: "unchanged",
  willBeEmpty: "will be empty",
  clear: "Clear",
  clearPassword: "Clear password",
  show: "Show password",
  hide: "Hide password",
  help: (label: string) => `What is ${label}?`,
  was: (value: string) => `was ${value}`,
  undo: "Undo",
  undoOne: (name: string) => `Undo ${name}`,
  /** What a hint ends with. */
  allowed: (range: string) => `Allowed: ${range}.`,
  range: (least: string, most: string, unit: string) => `${least} to ${most} ${unit}`.trim(),
  characters: (least: number, most: number) => (least > 1 ? `${least} to ${most} characters` : `at most ${most} characters`),
  orEmpty: (range: string) => `${range}, or empty`,
  applies: (effect: string) => `Takes effect ${effect}.`,
  /** Why a field is without effect. */
  noEffect: {
    automatic: "No effect while the fan control is automatic.",
    manual: "No effect while the fan control is manual.",
    noDisplay: "No effect without a display.",
    notSh1107: "Only for SH1107 displays.",
  },
  /** What is wrong with a value. */
  mustBeCleared: "Can only be cleared.",
  missing: "This cannot be empty.",
  noNumber: "This is no number.",
  noWhole: "Whole numbers only.",
  useOnly: (words: string) => `Use ${words}.`,
  oneOf: (choices: string) => `Choose one of ${choices}.`,
  outside: (range: string) => `Allowed is ${range}.`,
  tooLong: (size: number, range: string) => `${size} characters; allowed is ${range}.`,
  inBytes: "Letters such as ü count twice.",
  notOwn: "Not one of the board's presets; allow overclocking first.",
  asked: (text: string) => `${text} The API page asks for this; the device takes it all the same.`,
  warned: (texts: string) => `Saved, though the API page has something against it: ${texts}.`,
  saved: "Saved.",
  refusedAll: (text: string) => `The device refused: ${text}`,
  refused: (count: number) => `The device refused ${count === 1 ? "a value" : `${count} values`}.`,
  quoted: (name: string) => `“${name}”`,
  // The bar at the bottom
  noChanges: "No changes.",
  notSaved: (count: number) => `${count} ${count === 1 ? "change" : "changes"} not saved`,
  notAllowed: (count: number) => `${count} ${count === 1 ? "value is" : "values are"} not allowed`,
  changes: "Changes",
  undoAll: "Undo all",
  save: "Save",
  saving: "Saving…",
  // Chip
  safe: (values: string) => `Return to ${values}`,
  outsidePresets: (values: string) => `${values} is beyond the board's presets, and overclocking is off.`,
  and: " and ",
  overclock: {
    title: "Allow overclocking?",
    text:
      "Frequencies and voltages beyond the board's presets make more heat than the cooler and the regulator are made for. " +
      "On a real board this can ruin the chip, and nothing will stop you. Change one value at a time and watch the temperature.",
    allow: "Allow it",
  },
  cancel: "Cancel",
  // Wi-Fi
  scan: "Scan for networks",
  scanning: "Scanning…",
  found: (count: number) => `${count} ${count === 1 ? "network" : "networks"} in range.`,
  hidden: "(hidden)",
  /** By number of wifi_auth_mode_t. Source: ESP-IDF esp_wifi_types_generic.h. */
  security: [
    ...["open", "WEP", "WPA", "WPA2", "WPA/WPA2", "WPA2 Enterprise", "WPA3", "WPA2/WPA3", "WAPI", "OWE"],
    ...["WPA3 Enterprise 192", "WPA3", "WPA3", "DPP", "WPA3 Enterprise", "WPA2/WPA3 Enterprise", "WPA Enterprise"],
  ],
  secured: "secured",
};

/** Pools.svelte */
export const pools = {
  name: (id: number) => `Pool ${id + 1}`,
  primary: "primary",
  fallback: "fallback",
  edit: "Edit",
  usePrimary: "Use as primary",
  useFallback: "Use as fallback",
  clear: "Clear",
  clearTitle: (name: string) => `Clear ${name}?`,
  clearText: (where: string) => `The device forgets ${where}, its user and its password.`,
  add: "Add pool",
  first: (name: string) => `Save or cancel ${name} first.`,
  cancel: "Cancel",
  save: "Save pool",
  chosen: "Saved. It holds after a restart.",
  added: "added",
  cleared: "cleared",
};

/** pages/Update.svelte */

// ---------------------------------------------------------------- the fleet's page

/** fleet/Fleet.svelte */
export const fleetPage = {
  title: "softaxe fleet",
  skip: "Skip to the page",
  nav: "Pages",
  pages: { devices: "Devices", pool: "Pool", faults: "Faults", journal: "Journal", manage: "Manage" },
  counted: (name: string, count: number) => `${name} (${count})`,
  devices: (count: string) => count,
  tryingAgain: "Trying again every two seconds.",
  working: "Working…",
  close: "Close",
  charts: "Charts",
  softaxe: (version: string) => `This is softaxe ${version}`.trim(),
  what: "Bitaxes in software. Their APIs, pool links and searched nonces are real; chips, power and heat are a model.",
  api: "Control API",
  metrics: "Metrics",
  colours: "Colours",
  colour: { auto: "System colours", light: "Light", dark: "Dark" },
};

/** fleet/Strip.svelte */
export const strip = {
  label: "Totals",
  none: "–",
  mining: "Mining",
  of: (devices: number) => `/ ${devices.toLocaleString("en")}`,
  miners: (count: number) => (count === 1 ? "1 pool connection" : `${count.toLocaleString("en")} pool connections`),
  noPool: "no built-in pool",
  hashRate: "Hash rate",
  ofExpected: (percent: string) => `${percent} % of expected`,
  power: "Power",
  efficiency: (value: string) => `${value} J/TH`,
  hottest: "Hottest chip",
  rejected: "Rejected",
  shares: (rejected: number, all: number) => `${rejected.toLocaleString("en")} of ${all.toLocaleString("en")}`,
  problems: "Problems",
  faults: (count: number) => (count === 1 ? "1 fault rule" : `${count.toLocaleString("en")} fault rules`),
  noFaults: "no fault rules",
};

/** fleet/Clock.svelte */
export const clock = {
  locale: "en-GB",
  label: "Clock",
  deviceTime: "Device time",
  paused: "paused",
  pause: "Pause time",
  resume: "Resume time",
  goesOn: "Time runs.",
  stands: "Time is paused.",
  speed: (speed: number) => `Speed ${speed}×`,
  speedLabel: "Speed",
  speedSet: (speed: number) => `Time runs at ${speed}×.`,
  set: "Set",
  change: "Change",
  less: "Less",
  skipAhead: "Skip ahead",
  skip: (length: string) => `Skip ${length}`,
  skipping: "Skipping ahead",
  soFar: (passed: string, all: string) => `${passed} of ${all} passed`,
  passed: (length: string) => `${length} passed.`,
  reached: (moment: string) => `Device time is ${moment}.`,
  cancel: "Cancel",
  until: "Until…",
  untilTitle: "Skip ahead until",
  untilTime: "Device time",
  untilExample: "such as 2 h 30 min",
  untilDate: "or a date",
  noMoment: (text: string) => `"${text}" is no time such as 2 h 30 min, 1 d or 90 s.`,
  past: (now: string) => `That is over: device time is ${now}.`,
};

/** fleet/Processes.svelte */
export const processes = {
  count: (count: number) => `${count} processes`,
  away: (count: number) => `${count} not up`,
  restarts: (count: number) => (count === 1 ? "restarted once" : `restarted ${count} times`),
};

/** fleet/Question.svelte */
export const question = {
  cancel: "Cancel",
};


/** fleet/Devices.svelte, Cards.svelte */
export const devices = {
  title: "Devices",
  shown: (shown: number, all: number) => `${shown.toLocaleString("en")} of ${all.toLocaleString("en")} shown`,
  search: "Search",
  searched: "name, id, address, MAC, board, group, state, fault …",
  group: "Group",
  state: "State",
  firmware: "Firmware",
  allGroups: "All groups",
  allStates: "All states",
  allFirmware: "All firmware",
  withProblems: "with problems",
  sort: "Sort",
  unsorted: "Not sorted",
  by: (column: string) => `By ${column}`,
  columns: "Columns",
  asFits: "As many as fit",
  compact: "Compact rows",
  csv: "CSV",
  table: "Table of devices",
  selectAll: "Select all",
  selectShown: "Select all that are shown",
  select: (name: string) => `Select ${name}`,
  menu: (name: string) => `Menu of ${name}`,
  noSuch: "No device matches.",
  noDevices: "There are no devices.",
  looking: "Looking…",
  selection: "Selected devices",
  selected: (count: number) => `${count.toLocaleString("en")} selected`,
  notShown: (count: number) => `${count.toLocaleString("en")} of them not shown`,
  clear: "Clear selection",
  copyAs: "Copy as…",
  open: "Open",
  openOwn: "Open its own page",
  addFault: "Add fault…",
  journal: "Journal",
  identify: "Identify",
  pause: "Pause mining",
  resume: "Resume mining",
  restart: "Restart",
  remove: "Delete…",
  fan: (percent: string) => `Fan ${percent} %`,
  sure: (count: number, names: string[], others: number) => ({
    title: count === 1 ? "Delete 1 device?" : `Delete ${count.toLocaleString("en")} devices?`,
    more: `${names.join(", ")}${others ? ` and ${others.toLocaleString("en")} more` : ""}: they are switched off for good, with all that they have stored.`,
    button: count === 1 ? "Delete it" : `Delete ${count.toLocaleString("en")} devices`,
  }),
};

/** fleet/columns.ts */
export const columns = {
  hostname: "Device",
  id: "Id",
  url: "Address",
  macAddr: "MAC",
  state: "State",
  group: "Group",
  board: "Board",
  firmware: "Firmware",
  pool: "Pool",
  frequency: "MHz",
  coreVoltage: "mV",
  hashRate: "Hash rate",
  expected: "Expected",
  power: "Power",
  efficiency: "J/TH",
  temp: "Chip",
  vrTemp: "VR",
  fanspeed: "Fan",
  accepted: "Accepted",
  rejected: "Rejected",
  best: "Best diff.",
  rssi: "Wi-Fi",
  uptime: "Uptime",
  faults: "Faults",
};

/** fleet/orders.ts */
const some = (count: number, name: string, one: string, many: string): string =>
  count === 1 ? `${name} ${one}.` : `${count.toLocaleString("en")} devices ${many}.`;
export const orders = {
  done: {
    restart: (count: number, name: string) => some(count, name, "restarts", "restart"),
    identify: (count: number, name: string) => some(count, name, "says hi, or stops", "say hi, or stop"),
    pause: (count: number, name: string) => some(count, name, "is paused", "are paused"),
    resume: (count: number, name: string) => some(count, name, "mines again", "mine again"),
    remove: (count: number, name: string) => some(count, name, "is deleted", "are deleted"),
  },
  refused: (count: number, name: string, why: string) =>
    count === 1 ? `${name} cannot: ${why}.` : `${count.toLocaleString("en")} cannot, such as ${name}: ${why}.`,
};


/** fleet/Device.svelte: one device of the fleet */
export const device = {
  addFault: "Add fault…",
  journal: "Journal",
  restart: "Restart",
  identify: "Identify",
  remove: "Delete…",
  faults: (effects: string) => `Faults: ${effects}`,
  noFaults: "No faults are on it.",
  sure: (name: string) => ({ title: `Delete ${name}?`, more: "It is switched off for good, with all that it has stored.", button: "Delete it" }),
};

/** fleet/Faults.svelte, fleet/FaultForm.svelte */
export const faults = {
  title: "Faults",
  removeAll: "Remove all",
  allRemoved: "All faults are removed.",
  active: "Active faults",
  none: "No faults active.",
  looking: "Looking…",
  unknown: (why: string) => `${why} What is at work is not known now.`,
  timeline: "Time line",
  now: "now",
  states: { active: "Active", paused: "Paused", waiting: "Waiting", over: "Ended" },
  untilRemoved: "until removed",
  endsIn: (time: string) => `ends in ${time}`,
  stopsIn: (time: string) => `stops in ${time}`,
  beginsIn: (time: string) => `begins in ${time}`,
  again: (every: string, length: string) => `for ${length} every ${every}`,
  meetsNone: "meets no device",
  meets: (devices: string) => `meets ${devices}:`,
  more: (count: string) => `and ${count} more`,
  ofMiners: (miners: string) => `of them ${miners} that ${miners.startsWith("1 ") ? "is" : "are"} no device of the fleet`,
  miner: "miner",
  whom: (part: string, devices: string, group: string, firmware: string, requests: string, probability: string) =>
    [`${part}${devices}${group}${firmware}`, requests, probability].filter(Boolean).join(", "),
  part: (percent: string) => `${percent} % of `,
  allDevices: "all devices",
  devices: (names: string) => `devices ${names}`,
  named: (first: string, more: string) => `${first} and ${more} more`,
  ofGroup: (group: string) => ` of ${group}`,
  onFirmware: (version: string) => ` on ${version}`,
  onRequests: (requests: string) => `on ${requests}`,
  probability: (probability: string) => `probability ${probability}`,
  edit: "Edit",
  pause: "Pause",
  resume: "Resume",
  restart: "Begin again",
  remove: "Remove",
  isPaused: (id: string) => `${id} is paused.`,
  isResumed: (id: string) => `${id} goes on.`,
  isRestarted: (id: string) => `${id} begins again.`,
  isRemoved: (id: string) => `${id} is removed.`,

  add: "Add fault",
  change: (id: string) => `Edit ${id}`,
  save: "Save changes",
  cancel: "Cancel",
  presets: "Common troubles",
  own: "Saved here",
  keep: "Save as preset…",
  keepName: "Name of the preset",
  keepIt: "Save",
  forget: (name: string) => `Forget ${name}`,
  effect: "What goes wrong",
  search: "Search effects",
  searchHint: "fan, Wi-Fi, overheats, late answers…",
  noEffect: "No effect is like that.",
  other: "Another effect",
  areas: {
    cooling: "Cooling",
    chip: "Chip",
    power: "Power",
    sensors: "Sensors",
    requests: "Requests to the API",
    network: "Network",
    pool: "Pool",
    firmware: "Firmware",
    updates: "Updates",
  } as Record<string, string>,
  range: (low: string, high: string) => `${low} to ${high}`,
  whomTitle: "Which devices",
  whenTitle: "When",
  requestsTitle: "Which requests",
  all: "all",
  /** Label, hint, and what an empty field stands for, by a rule's member. */
  members: {
    device: ["Devices", "Name, id, address or MAC; * for any letters; several with commas", "all"],
    group: ["Group", "", "all"],
    firmware: ["Firmware", "As 2.15*", "all"],
    share: ["Share of them", "0.1 is a tenth, always the same ones", "1"],
    probability: ["Probability", "Of a device, or of each request, to be met", "1"],
    start_s: ["Begins in", "", "0"],
    duration_s: ["Lasts", "", "until removed"],
    every_s: ["Repeats every", "Longer than it lasts", "never"],
    route: ["Route", "As /api/system/*", "all"],
    method: ["Method", "As GET", "all"],
  } as Record<string, [string, string, string]>,
  seconds: "s",
  wouldMeet: (count: string, total: string) => `Meets ${count} of ${total}: `,
  wouldMeetMiners: (miners: string) => `Meets ${miners}: `,
  wouldMeetNone: "Meets no device now.",
  checking: "Looking whom it meets…",
  isAdded: (effect: string, devices: string) => `${effect} is added; it meets ${devices}.`,
  isAddedForNone: (effect: string) => `${effect} is added, but meets no device now.`,
  isChanged: (id: string) => `${id} is changed.`,
  nothing: "Nothing is changed.",
};

/** fleet/Journal.svelte */
export const journal = {
  title: "Journal",
  freeze: "Freeze list",
  follow: "Follow again",
  clear: "Clear…",
  sure: "Clear the journal?",
  sureText: "All requests are forgotten, here and for the control API.",
  clearIt: "Clear journal",
  cancel: "Cancel",
  cleared: "The journal is empty.",
  intro: (most: string) => `What clients asked the devices, newest first; the last ${most} are kept here.`,
  shown: (hits: string, all: string) => `${hits} of ${all} shown`,
  drawn: (most: string) => `, the newest ${most} of them below`,
  frozen: "The list is frozen.",
  search: "Search",
  searchHint: "device, address, path, status, body, fault",
  method: "Method",
  status: "Status",
  statuses: { "": "all", "2": "2xx", "3": "3xx", "4": "4xx", "5": "5xx", "1": "1xx WebSocket", "0": "no answer" } as Record<string, string>,
  device: "Device",
  onlyDevice: (name: string) => `Only ${name}`,
  allDevices: "All devices",
  all: "all",
  unmatched: "Only what matched no route",
  marked: "Only what a device or the API page sees otherwise",
  region: "Requests",
  time: "Time",
  client: "Client",
  request: "Request",
  answer: "Answer",
  noHttp: "no HTTP",
  noRoute: "no such route",
  warned: "warned",
  differs: "a device answers otherwise",
  none: "none",
  took: (bytes: string, time: string) => `${bytes} B, ${time} ms`,
  warning: (text: string) => `Warning: ${text}`,
  here: (text: string) => `Here ${text}`,
  headers: "Request",
  body: "Body",
  noText: "(no text)",
  copy: "Copy as curl",
  copied: "Copied",
  noneLike: "No request is like that.",
  noneYet: "No request has come yet.",
};

/** fleet/Pool.svelte */

/** fleet/Manage.svelte */
export const manage = {
  title: "Manage",
  add: "Add devices",
  howMany: "How many",
  board: "Board or family",
  firmware: "Firmware",
  group: "Group",
  addButton: "Add",
  added: (ids: string[]) =>
    ids.length > 3
      ? `${ids.length.toLocaleString("en")} devices, ${ids[0]} to ${ids.at(-1)}, are on.`
      : `${ids.join(", ")} ${ids.length > 1 ? "are" : "is"} on.`,
  snapshots: "Snapshots",
  whatSnapshots: "The state of all devices, the pool and the clock, to come back to.",
  name: "Name",
  save: "Save snapshot",
  saved: (name: string) => `Saved as ${name}.`,
  at: (moment: string, devices: string) => `at ${moment}, ${devices}`,
  restore: "Restore",
  restoreName: (name: string) => `Restore ${name}`,
  restored: (name: string) => `Back at ${name}.`,
  sureRestore: (name: string, moment: string) => ({
    title: `Restore ${name}?`,
    more: `All devices, faults, the pool and the clock go back to device time ${moment}. What has happened since is lost, unless you save it first.`,
    button: "Restore",
  }),
  drop: "Delete",
  dropName: (name: string) => `Delete ${name}`,
  dropped: (name: string) => `${name} is deleted.`,
  sureDrop: (name: string) => ({ title: `Delete snapshot ${name}?`, more: "There is no other way back to that moment.", button: "Delete" }),
  done: "Your actions as code",
  whatDone: (actions: string) => `${actions} since this page was opened. In the test, the fleet is called fleet; the scenario begins with the first.`,
  copyAll: "Copy all as",
  forget: "Clear list",
  nothingDone: "Faults, restarts, skips of time and all else that you do on these pages, to be copied for a shell, a test or a scenario.",
  reset: "Reset fleet",
  whatReset: "All devices as the fleet was described: stored settings, faults, journal and snapshots are lost.",
  resetButton: "Reset fleet…",
  wasReset: "The fleet is reset.",
  sureReset: (devices: string) => ({
    title: "Reset the fleet?",
    more: `${devices} start over. Their settings, best difficulties, all faults, the journal and the snapshots are lost.`,
    button: "Reset fleet",
  }),
};


/** fleet/CopyAs.svelte */
export const copyAs = {
  label: "Copy as",
  copied: "copied",
};

/** fleet/code.ts */
export const code = {
  noStep: "No scenario step does this.",
  noStepClock: "Not a scenario step: time passes by each step's at.",
  noStepDevices: "Not a scenario step: a scenario's devices are its [[group]] tables.",
  noStepSnapshots: "Not a scenario step: every scenario starts from new.",
};
