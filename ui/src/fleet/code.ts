/** What was done on the page, as code that does it again. */

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
  if (kind === "faults") return name === undefined ? "fleet.faults.clear()" : `fleet.faults.remove(${one})`;
  if (kind === "devices" && more === "restart") return `fleet[${one}].restart()`;
  if (kind === "devices") return method === "DELETE" ? `fleet[${one}].remove()` : `fleet.add(${given(members)})`;
  if (kind === "pool" && name === "blocks") return "fleet.pool.new_block()";
  if (kind === "pool" && method === "DELETE") return `fleet.pool.disconnect(${JSON.stringify(more)})`;
  if (kind === "clock" && name === "advance") return `fleet.clock.advance(${python(members.seconds)})`;
  if (kind === "clock" && members.speed !== undefined) return `fleet.clock.speed = ${python(members.speed)}`;
  if (kind === "clock") return members.paused ? "fleet.clock.pause()" : "fleet.clock.resume()";
  const json = action.body === undefined ? "" : `, json=${python(members)}`;
  return `httpx.request("${method}", fleet.control_url + ${JSON.stringify(action.path)}${json}).raise_for_status()`;
}

const table = (members: Members): string =>
  `{ ${Object.entries(members)
    .map(([name, value]) => `${name} = ${JSON.stringify(value)}`)
    .join(", ")} }`;

/** A scenario's step at a time from its start in seconds; empty for what no step does. */
export function asStep(action: Action, atS: number): string {
  const at = `[[step]]\nat = "${Math.max(0, Math.round(atS))}s"\n`;
  const [kind, name, more] = partsOf(action);
  if (kind === "faults" && action.method === "POST") return `${at}fault = ${table(membersOf(action))}`;
  if (kind === "faults" && action.method === "DELETE") return `${at}clear = ${JSON.stringify(name ?? "all")}`;
  if (kind === "devices" && more === "restart") return `${at}device = ${JSON.stringify(name)}\nrestart = true`;
  return "";
}

/** All of them: a script, a test and a scenario. */
export function asCode(actions: Action[], kind: "curl" | "pytest" | "scenario", base: string, hasToken: boolean): string {
  if (kind === "curl") return actions.map((one) => asCurl(one, base, hasToken)).join("\n");
  if (kind === "pytest") return actions.map(asPytest).join("\n");
  const start = actions[0]?.now ?? 0;
  return actions
    .map((one) => asStep(one, one.now - start))
    .filter(Boolean)
    .join("\n\n");
}
