/** What is typed into the settings; it lasts while the owner looks at other pages. */

import { pools as poolTexts, settings as texts } from "$texts";
import { inWords as problemText, patch, read, Refused, savePool, type Pool } from "./api";
import { device } from "./device.svelte";
import * as rules from "./rules";
import type { Rule, Rules, Typed, Value } from "./rules";

/** So long "Saved." is to be read. */
const SAID_MS = 8000;
/** What the slots' buttons store is nobody else's change. */
const OWN_OF_SLOTS = new Map(["pools", "primaryPoolIndex", "secondaryPoolIndex"].map((name): [string, Typed] => [name, ""]));
/** Stands for a slot's password, which nobody is told. */
const KEPT = "*****";

/** What is typed over the values of some rules: the device's settings, or the members of a pool's slot. */
export class Draft {
  rules = $state.raw<Rule[]>([]);
  typed = $state<Record<string, Typed>>({});
  /** Secrets to be stored as an empty text. */
  cleared = $state<Record<string, boolean>>({});
  /** What the device has against a value, by name. */
  refused = $state<Record<string, string>>({});
  /** What else is wrong with a value, by the other ones. */
  judge: (rule: Rule, value: Typed) => string;

  byName = $derived(new Map(this.rules.map((rule) => [rule.name, rule])));
  changed = $derived(this.rules.filter((rule) => this.isChanged(rule)));
  errors = $derived.by(() => {
    const found: Record<string, string> = {};
    for (const rule of this.changed) {
      const text = rules.check(rule, this.value(rule)) || this.judge(rule, this.value(rule));
      if (text) found[rule.name] = text;
    }
    return found;
  });

  constructor(judge: (rule: Rule, value: Typed) => string = () => "") {
    this.judge = judge;
  }

  /** Take rules and values as they are now; what is typed stays, but for what has just been saved. */
  take(now: Rule[], saved = new Map<string, Typed>()): void {
    const kept = new Set(this.changed.filter((rule) => saved.get(rule.name) !== this.value(rule)).map((rule) => rule.name));
    for (const rule of now) if (!kept.has(rule.name)) this.reset(rule);
    this.rules = now;
  }

  change(name: string, value: Typed): void {
    this.typed[name] = value;
    delete this.refused[name];
  }

  clear(name: string, isCleared: boolean): void {
    this.change(name, "");
    this.cleared[name] = isCleared;
  }

  /** Forget what is typed, of one or of all. */
  undo(name?: string): void {
    for (const rule of this.rules.filter((one) => !name || one.name === name)) {
      this.reset(rule);
      delete this.refused[rule.name];
    }
  }

  value(rule: Rule): Typed {
    return this.cleared[rule.name] ? "" : (this.typed[rule.name] ?? "");
  }

  toSend(rule: Rule): Value {
    const value = this.value(rule);
    return typeof value === "boolean" || rule.kind === "string" ? value : Number(value);
  }

  /** Put a refusal to the fields that it is about; returns the first of them. */
  refuse(refusal: string): string | undefined {
    this.refused = rules.byField(refusal, [...this.byName.keys()]);
    for (const [name, text] of Object.entries(this.refused)) this.refused[name] = this.inLabels(text);
    return Object.keys(this.refused)[0];
  }

  /** A device's words, with its names of settings as they stand on the page. */
  inLabels(text: string): string {
    return text.replace(/(\w+)( [01]\b)?/g, (words, name: string, bit: string | undefined) => {
      const rule = this.byName.get(name);
      if (!rule) return words;
      const value = bit && rule.kind === "boolean" ? ` ${bit === " 1" ? texts.on : texts.off}` : (bit ?? "");
      return `${texts.quoted(rules.nameOf(rule))}${value}`;
    });
  }

  private reset(rule: Rule): void {
    this.typed[rule.name] = rules.asTyped(rule);
    delete this.cleared[rule.name];
  }

  private isChanged(rule: Rule): boolean {
    const value = this.typed[rule.name];
    return rule.is_secret ? Boolean(value) || this.cleared[rule.name] === true : value !== rules.asTyped(rule);
  }
}

/** A pool's slot that is being edited. */
interface Slot {
  id: number;
  draft: Draft;
}

interface Answer {
  tone: "" | "good" | "warn" | "bad";
  text: string;
}

const NOTHING: Answer = { tone: "", text: "" };

class Form {
  rules = $state.raw<Rules>();
  draft = new Draft((rule, value) => this.judge(rule, value));
  slot = $state.raw<Slot>();
  answer = $state.raw(NOTHING);
  /** What has changed since, by whomever: what it was at first and what it is, in words, by name. */
  foreign = $state.raw<Record<string, { name: string; before: string; now: string }>>({});
  /** Why the rules could not be read. */
  unread = $state("");
  isSaving = $state(false);
  private looks = 0;

  /** Of firmware that has slots for pools. */
  pools = $derived(this.rules?.settings.find((rule) => rule.kind === "array")?.value as Pool[] | undefined);
  /** What is stored but not yet in force. */
  waiting = $derived(this.draft.rules.filter((rule) => rule.is_waiting));
  /** Something would be lost. */
  isDirty = $derived(this.draft.changed.length + (this.slot?.draft.changed.length ?? 0) > 0);
  /** What the API page asks for instead of what is stored or typed, where the device takes that. */
  warnings = $derived.by(() => {
    const found: Record<string, string> = {};
    for (const rule of this.draft.rules) {
      if (this.draft.errors[rule.name] || (rule.is_secret && !this.draft.changed.includes(rule))) continue;
      const value = this.draft.value(rule);
      const text = (rule.asked && rules.check(rule, value, rule.asked)) || this.overclock(rule, value);
      if (text) found[rule.name] = texts.asked(text);
    }
    return found;
  });

  /** Read rules and values; what has been `saved` is nobody else's change. */
  async load(saved?: Map<string, Typed>): Promise<void> {
    const look = ++this.looks;
    try {
      const loaded = await read<Rules>("/softaxe/settings.json");
      // What is just being saved may be in it already, and is no news.
      if (look !== this.looks || (!saved && this.isSaving)) return;
      this.noteForeign(loaded, saved ?? new Map());
      this.rules = loaded;
      this.draft.take(rules.singles(loaded), saved);
      if (this.slot) this.slot.draft.take(this.rulesOf(this.slot.id));
      this.unread = "";
    } catch (problem) {
      this.unread = problemText(problem);
    }
  }

  /** Forget what is typed, of one setting or of all. */
  undo(name?: string): void {
    this.draft.undo(name);
    this.answer = NOTHING;
  }

  change(name: string, value: Typed): void {
    this.draft.change(name, value);
    this.answer = NOTHING;
  }

  /** Send what has changed; returns the first field that is refused. */
  async save(): Promise<string | undefined> {
    const { draft } = this;
    this.isSaving = true;
    try {
      const sent = new Map(draft.changed.map((rule) => [rule.name, draft.value(rule)]));
      const { refusal, warnings } = await patch(Object.fromEntries(draft.changed.map((rule) => [rule.name, draft.toSend(rule)])));
      if (refusal) return this.refuse(refusal);
      draft.refused = {};
      await this.load(sent);
      this.say(warnings.length ? { tone: "warn", text: texts.warned(warnings.join("; ")) } : { tone: "good", text: texts.saved });
      void device.poll();
    } catch (problem) {
      this.say({ tone: "bad", text: problemText(problem) });
    } finally {
      this.isSaving = false;
    }
    return undefined;
  }

  /** Let the device do something with its pools' slots; returns what it says. */
  async order(work: () => Promise<string>): Promise<string> {
    this.isSaving = true;
    try {
      const told = await work();
      await this.load(OWN_OF_SLOTS);
      return told;
    } finally {
      this.isSaving = false;
    }
  }

  /** Begin to edit a pool's slot. */
  edit(id: number): void {
    const draft = new Draft();
    draft.take(this.rulesOf(id));
    this.slot = { id, draft };
  }

  /** Store the slot that is edited; returns what the device says. */
  async saveSlot({ id, draft }: Slot): Promise<string> {
    const isNew = !this.pools?.some((pool) => pool.id === id);
    const members = draft.rules.map((rule) => {
      const isKept = rule.is_secret && !isNew && !draft.changed.includes(rule);
      return [rule.name, isKept ? KEPT : draft.toSend(rule)];
    });
    try {
      const told = await savePool({ id, ...Object.fromEntries(members) } as Pool);
      this.slot = undefined;
      return told;
    } catch (problem) {
      if (problem instanceof Refused) draft.refuse(problem.message);
      throw problem;
    }
  }

  private say(answer: Answer): void {
    this.answer = answer;
    if (answer.tone !== "good") return;
    setTimeout(() => {
      if (this.answer === answer) this.answer = NOTHING;
    }, SAID_MS);
  }

  private refuse(refusal: string): string | undefined {
    const first = this.draft.refuse(refusal);
    const count = Object.keys(this.draft.refused).length;
    this.say({ tone: "bad", text: count ? texts.refused(count) : texts.refusedAll(this.draft.inLabels(refusal)) });
    return first;
  }

  private rulesOf(slot: number): Rule[] {
    const stored = this.pools?.find((pool) => pool.id === slot);
    return rules.slotRules(this.rules?.pool_members ?? [], stored);
  }

  private noteForeign(loaded: Rules, saved: Map<string, Typed>): void {
    const found = { ...this.foreign };
    for (const { key, name, before, now } of changes(this.rules, loaded)) {
      if (saved.has(key.split(" ")[0] ?? "")) delete found[key];
      else if (found[key]?.before === now) delete found[key]; // it is back
      else found[key] = { name, before: found[key]?.before ?? before, now };
    }
    this.foreign = found;
  }

  private judge(rule: Rule, value: Typed): string {
    // A form sends back what is in force.
    return !this.rules?.is_strict || Number(value) === rule.value ? "" : this.overclock(rule, value);
  }

  private overclock(rule: Rule, value: Typed): string {
    const options = rules.optionsOf(rule, device.asic);
    if (!options || !this.rules?.overclock_guarded || this.draft.typed.overclockEnabled) return "";
    return rules.checkOverclock(String(value), options.values);
  }
}

interface Change {
  key: string;
  name: string;
  before: string;
  now: string;
}

/** What differs between two looks at the device, secrets apart. */
function changes(then: Rules | undefined, now: Rules): Change[] {
  const before = new Map(then?.settings.map((rule) => [rule.name, rule]));
  const found = rules.singles(now).flatMap((rule) => {
    const old = before.get(rule.name);
    return !old || rule.is_secret ? [] : difference(rule.name, rules.nameOf(rule), old, rule);
  });
  const [old, pools] = [then, now].map((one) => one?.settings.find((rule) => rule.kind === "array")?.value as Pool[] | undefined);
  return old && pools ? [...found, ...slotChanges(now, old, pools)] : found;
}

/** The same of the slots of pools. */
function slotChanges({ pool_slots: slots, pool_members: members }: Rules, before: Pool[], now: Pool[]): Change[] {
  return [...Array(slots).keys()].flatMap((id) => {
    const [old, one] = [before, now].map((pools) => pools.find((pool) => pool.id === id));
    const [name, key] = [poolTexts.name(id), `pools ${id}`];
    if (!old && one) return [{ key, name, before: texts.empty, now: `${one.stratumURL}:${one.stratumPort}` }];
    if (old && !one) return [{ key, name, before: `${old.stratumURL}:${old.stratumPort}`, now: texts.empty }];
    if (!old || !one) return [];
    const stored = rules.slotRules(members, old);
    return rules.slotRules(members, one).flatMap((rule, index) =>
      difference(`${key} ${rule.name}`, `${name}: ${rules.labelOf(rule)}`, stored[index] ?? rule, rule),
    );
  });
}

function difference(key: string, name: string, before: Rule, now: Rule): Change[] {
  const [then, value] = [before, now].map((rule) => rules.inWords(rule, rules.asTyped(rule)));
  return then === value || then === undefined || value === undefined ? [] : [{ key, name, before: then, now: value }];
}

export const form = new Form();
