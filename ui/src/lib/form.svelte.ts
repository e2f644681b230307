/** What is typed into the settings; it lasts while the owner looks at other pages. */

import { inWords, patch, read } from "./api";
import { device } from "./device.svelte";
import { byField, check, checkOverclock, labelOf, optionsOf, type Rule, type Rules, type Value } from "./rules";

/** So long "Saved." is to be read. */
const SAID_MS = 8000;

class Form {
  rules = $state.raw<Rules>();
  draft = $state<Record<string, string | boolean>>({});
  /** Secrets to be stored as an empty text. */
  cleared = $state<Record<string, boolean>>({});
  /** What the device has against a value, by name. */
  refused = $state<Record<string, string>>({});
  answer = $state.raw<{ tone: "" | "good" | "warn" | "bad"; text: string }>({ tone: "", text: "" });
  /** What somebody else has changed since, in words. */
  foreign = $state.raw<string[]>([]);
  /** Why the rules could not be read. */
  unread = $state("");
  isSaving = $state(false);

  byName = $derived(new Map(this.rules?.settings.map((rule) => [rule.name, rule])));
  changed = $derived([...this.byName.values()].filter((rule) => this.isChanged(rule)));
  /** What is stored but not yet in force. */
  waiting = $derived([...this.byName.values()].filter((rule) => rule.is_waiting).map(labelOf));
  errors = $derived.by(() => {
    const found: Record<string, string> = {};
    for (const rule of this.changed) {
      const text = this.error(rule);
      if (text) found[rule.name] = text;
    }
    return found;
  });
  /** What the API page asks for instead of what is stored or typed, where the device takes that. */
  warnings = $derived.by(() => {
    const found: Record<string, string> = {};
    for (const rule of this.byName.values()) {
      if (rule.kind === "array" || this.errors[rule.name] || (rule.is_secret && !this.isChanged(rule))) continue;
      const text = this.asked(rule);
      if (text) found[rule.name] = `${text} So the API page asks; a device takes it all the same.`;
    }
    return found;
  });

  /** Read rules and values; what is typed stays, but for what has just been saved. */
  async load(saved = new Map<string, string | boolean>()): Promise<void> {
    try {
      const loaded = await read<Rules>("/softaxe/settings.json");
      this.noteForeign(loaded, saved);
      const unsaved = this.changed.filter((rule) => saved.get(rule.name) !== this.typed(rule));
      const kept = new Set(unsaved.map((rule) => rule.name));
      for (const rule of loaded.settings) {
        for (const limits of [rule, rule.asked]) if (limits) limits.allowed = limits.allowed.replace("..", " to ");
        if (kept.has(rule.name) || rule.kind === "array") continue;
        this.draft[rule.name] = rule.is_secret ? "" : asTyped(rule);
        delete this.cleared[rule.name];
      }
      this.rules = loaded;
      this.unread = "";
    } catch (problem) {
      this.unread = inWords(problem);
    }
  }

  private noteForeign(loaded: Rules, saved: Map<string, string | boolean>): void {
    const news = loaded.settings.filter((rule) => {
      const before = this.byName.get(rule.name);
      return before && rule.kind !== "array" && !saved.has(rule.name) && before.value !== rule.value;
    });
    const told = news.map((rule) => `${labelOf(rule)}${rule.is_secret ? "" : `: ${shown(this.byName.get(rule.name))} → ${shown(rule)}`}`);
    if (told.length) this.foreign = told;
  }

  /** Forget what is typed. */
  undo(): void {
    for (const rule of this.byName.values()) this.draft[rule.name] = rule.is_secret ? "" : asTyped(rule);
    this.cleared = {};
    this.refused = {};
    this.answer = { tone: "", text: "" };
  }

  change(name: string, value: string | boolean): void {
    this.draft[name] = value;
    delete this.refused[name];
    this.answer = { tone: "", text: "" };
  }

  /** Send what has changed; returns the first field that is refused. */
  async save(): Promise<string | undefined> {
    this.isSaving = true;
    try {
      const sent = new Map(this.changed.map((rule) => [rule.name, this.typed(rule)]));
      const { refusal, warnings } = await patch(Object.fromEntries(this.changed.map((rule) => [rule.name, this.toSend(rule)])));
      if (refusal) return this.refuse(refusal);
      this.refused = {};
      await this.load(sent);
      this.answer = warnings.length
        ? { tone: "warn", text: `Saved, though the API page has something against it: ${warnings.join("; ")}.` }
        : { tone: "good", text: "Saved." };
      const said = this.answer;
      if (said.tone === "good") setTimeout(() => { if (this.answer === said) this.answer = { tone: "", text: "" }; }, SAID_MS);
      void device.poll();
    } catch (problem) {
      this.answer = { tone: "bad", text: inWords(problem) };
    } finally {
      this.isSaving = false;
    }
    return undefined;
  }

  private refuse(refusal: string): string | undefined {
    this.refused = byField(refusal, [...this.byName.keys()]);
    for (const [name, text] of Object.entries(this.refused)) this.refused[name] = this.inLabels(text);
    const count = Object.keys(this.refused).length;
    const text = count ? `The device refused ${count === 1 ? "a value" : `${count} values`}.` : `The device refused: ${this.inLabels(refusal)}`;
    this.answer = { tone: "bad", text };
    return Object.keys(this.refused)[0];
  }

  /** A device's words, with its names of settings as they stand on the page. */
  private inLabels(text: string): string {
    return text.replace(/(\w+)( [01]\b)?/g, (words, name: string, bit: string | undefined) => {
      const rule = this.byName.get(name);
      if (!rule) return words;
      const value = bit && rule.kind === "boolean" ? (bit === " 1" ? " on" : " off") : (bit ?? "");
      return `“${labelOf(rule)}”${value}`;
    });
  }

  private isChanged(rule: Rule): boolean {
    if (rule.kind === "array") return false; // they are stored one by one
    const value = this.draft[rule.name];
    return rule.is_secret ? Boolean(value) || this.cleared[rule.name] === true : value !== asTyped(rule);
  }

  private error(rule: Rule): string {
    const value = this.typed(rule);
    const text = check(rule, value);
    // A form sends back what is in force.
    if (text || !this.rules?.is_strict || Number(value) === rule.value) return text;
    return this.overclock(rule, value);
  }

  private asked(rule: Rule): string {
    const value = this.typed(rule);
    return (rule.asked && check(rule, value, rule.asked)) || this.overclock(rule, value);
  }

  private overclock(rule: Rule, value: string | boolean): string {
    const options = optionsOf(rule, device.asic);
    if (!options || !this.rules?.overclock_guarded || this.draft.overclockEnabled) return "";
    return checkOverclock(String(value), options.values);
  }

  private typed(rule: Rule): string | boolean {
    return this.cleared[rule.name] ? "" : (this.draft[rule.name] ?? "");
  }

  private toSend(rule: Rule): Value {
    const value = this.typed(rule);
    return typeof value === "boolean" || rule.kind === "string" ? value : Number(value);
  }
}

function shown(rule: Rule | undefined): string {
  const value = rule ? asTyped(rule) : "";
  if (typeof value === "boolean") return value ? "on" : "off";
  // Of a float of 32 bits, the digits that somebody gave.
  if (rule?.kind === "float") return `${Number(Number(value).toFixed(3))} ${rule.unit}`;
  return value === "" ? "empty" : `${value} ${rule?.unit ?? ""}`.trim();
}

function asTyped(rule: Rule): string | boolean {
  return typeof rule.value === "boolean" ? rule.value : String(rule.value ?? "");
}

export const form = new Form();
