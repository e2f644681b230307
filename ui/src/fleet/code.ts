/** What was done on the page, as code that does it again. */

import { code as texts } from "$texts";
import type { Entry } from "./api";
import type { Order } from "./orders";

export interface Action {
  method: string;
  path: string;
  body?: unknown;
  /** Device time, in seconds. */
  now: number;
}

type Members = Record<string, unknown>;

const membersOf = (action: Action): Members => JSON.parse(JSON.stringify(action.body ?? {})) as Members;
const quoted = (text: string): string => `'${text.replace(/'/g, `'\\''`)}'`;

/** For a shell. */
export function asCurl(action: Action, base: string, hasToken: boolean): string {
  const token = hasToken ? ' -H "Authorization: Bearer $SOFTAXE_CONTROL_TOKEN"' : "";
  const body = action.body === undefined ? "" : ` -d ${quoted(JSON.stringify(action.body))}`;
  return `curl -X ${action.method}${token} ${quoted(base + action.path)}${body}`;
}

function python(value: unknown): string {
  if (value === null) return "None";
  if (typeof value === "boolean") return value ? "True" : "False";
  if (Array.isArray(value)) return `[${value.map(python).join(", ")}]`;
  if (typeof value === "object") return `{${Object.entries(value as Members).map(([name, one]) => `${JSON.stringify(name)}: ${python(one)}`).join(", ")}}`;
  return JSON.stringify(value);
}

const given = (members: Members): string =>
  Object.entries(members)
    .map(([name, value]) => `${name}=${python(value)}`)
    .join(", ");

/** What a path names: `/control/faults/a%20b` is ["faults", "a b"]. */
const partsOf = (action: Action): string[] => action.path.split("/").slice(2).map(decodeURIComponent);

/** For a test with a fleet of `softaxe.running` or of the fixtures. */
export function asPytest(action: Action): string {
  const { method } = action;
  const members = membersOf(action);
  const [kind, name, more] = partsOf(action);
  const one = JSON.stringify(name ?? "");
  if (kind === "faults" && method === "POST") {
    const { effect, ...others } = members;
    return `fleet.faults.add(${[python(effect), given(others)].filter(Boolean).join(", ")})`;
  }
  if (kind === "faults" && method === "PATCH") return `fleet.faults.change(${[one, given(members)].filter(Boolean).join(", ")})`;
  if (kind === "faults") return name === undefined ? "fleet.faults.clear()" : `fleet.faults.remove(${one})`;
  if (kind === "devices" && name === "orders") return pytestOrder(members as unknown as DevicesOrder);
  if (kind === "devices" && more === "restart") return `fleet[${one}].restart()`;
  if (kind === "devices") return method === "DELETE" ? `fleet[${one}].remove()` : `fleet.add(${given(members)})`;
  if (kind === "pool" && name === "blocks") return "fleet.pool.new_block()";
  if (kind === "pool" && method === "DELETE") return `fleet.pool.disconnect(${JSON.stringify(more)})`;
  if (kind === "clock" && name === "advance")
    return `fleet.clock.advance(${members.until === undefined ? python(members.seconds) : `${python(members.until)} - fleet.clock.now`})`;
  if (kind === "clock" && members.speed !== undefined) return `fleet.clock.speed = ${python(members.speed)}`;
  if (kind === "clock") return members.paused ? "fleet.clock.pause()" : "fleet.clock.resume()";
  const json = action.body === undefined ? "" : `, json=${python(members)}`;
  return `httpx.request("${method}", fleet.control_url + ${JSON.stringify(action.path)}${json}).raise_for_status()`;
}

interface DevicesOrder {
  order: Order;
  devices: string[];
}

/** Where a device itself takes an order, by POST. */
function pathOf(order: Order): string {
  if (order === "press") return "/softaxe/button/short";
  return order === "hold" ? "/softaxe/button/long" : `/api/system/${order}`;
}

function pytestOrder({ order, devices }: DevicesOrder): string {
  const [only] = devices;
  const one = devices.length === 1 ? JSON.stringify(only) : "device";
  const isOwn = order === "restart" || order === "remove";
  const call = isOwn ? `fleet[${one}].${order}()` : `httpx.post(fleet[${one}].url + "${pathOf(order)}").raise_for_status()`;
  return devices.length === 1 ? call : `for device in ${python(devices)}:\n    ${call}`;
}

/** A value as TOML has it; null makes the whole of it nothing, as TOML has none. */
function toml(value: unknown): string | null {
  if (value === null) return null;
  if (typeof value !== "object") return JSON.stringify(value);
  const inner = Object.entries(value).map(([name, one]): [string, string | null] => [name, toml(one)]);
  if (inner.some(([, text]) => text === null)) return null;
  if (Array.isArray(value)) return `[${inner.map(([, text]) => text).join(", ")}]`;
  return `{ ${inner.map(([name, text]) => `${/^[\w-]+$/.test(name) ? name : JSON.stringify(name)} = ${text}`).join(", ")} }`;
}

const step = (name: string, members: Members): string[] => {
  const table = toml(members);
  return table === null ? [] : [`${name} = ${table}`];
};

/** Why no step does it, by what the path begins with; what is left has no step either. */
const NO_STEP: [start: string, why: string][] = [
  ["/control/clock", texts.noStepClock],
  ["/control/devices", texts.noStepDevices],
  ["/control/snapshots", texts.noStepSnapshots],
  ["/control/reset", texts.noStepSnapshots],
];

/** Why a scenario has no step for it; empty when it has one. */
export function whyNoStep(action: Action): string {
  if (stepsOf(action).length) return "";
  return NO_STEP.find(([start]) => action.path.startsWith(start))?.[1] ?? texts.noStep;
}

/** What a scenario's steps for it hold, beside the time. */
function stepsOf(action: Action): string[] {
  const [kind, name, more] = partsOf(action);
  if (kind === "faults" && action.method === "POST" && name === undefined) return step("fault", membersOf(action));
  if (kind === "faults" && action.method === "PATCH") return step("change", { id: name, ...membersOf(action) });
  if (kind === "faults" && action.method === "DELETE") return [`clear = ${JSON.stringify(name ?? "all")}`];
  if (kind === "devices" && more === "restart") return [stepOrder(name ?? "", "restart")];
  if (kind !== "devices" || name !== "orders") return [];
  const { order, devices } = membersOf(action) as unknown as DevicesOrder;
  return order === "remove" ? [] : devices.map((device) => stepOrder(device, order));
}

function stepOrder(device: string, order: Order): string {
  const what = order === "restart" ? "restart = true" : `request = { method = "POST", path = "${pathOf(order)}" }`;
  return `device = ${JSON.stringify(device)}\n${what}`;
}

/** A scenario's steps at a time from its start in seconds; a remark where none does it. */
export function asSteps(action: Action, atS: number): string {
  const at = `${Math.max(0, Math.round(atS))}s`;
  const why = whyNoStep(action);
  if (why) return `# ${at}: ${action.method} ${action.path}: ${why}`;
  return stepsOf(action)
    .map((what) => `[[step]]\nat = "${at}"\n${what}`)
    .join("\n\n");
}

/** All of them: a script, a test and a scenario. */
export function asCode(actions: Action[], kind: "curl" | "pytest" | "scenario", base: string, hasToken: boolean): string {
  if (kind === "curl") return actions.map((one) => asCurl(one, base, hasToken)).join("\n");
  if (kind === "pytest") return actions.map(asPytest).join("\n");
  const start = actions[0]?.now ?? 0;
  return actions.map((one) => asSteps(one, one.now - start)).join("\n\n");
}

/** Headers that curl writes itself, or that hold for one connection. */
const NOT_COPIED = new Set(["host", "content-length", "connection", "accept-encoding", "user-agent", "upgrade"]);

/** What a client asked, to be asked again; `url` is the device's. */
export function requestAsCurl(entry: Entry, url: string): string {
  const headers = entry.headers
    .filter(([name]) => !NOT_COPIED.has(name) && !name.startsWith("sec-"))
    .map(([name, value]) => ` -H ${quoted(`${name}: ${value}`)}`);
  const body = entry.body ? ` --data-raw ${quoted(entry.body)}` : "";
  const method = entry.method === "GET" && !body ? "" : ` -X ${entry.method}`;
  return `curl${method}${headers.join("")} ${quoted(`${url}${entry.path}${entry.query ? `?${entry.query}` : ""}`)}${body}`;
}
