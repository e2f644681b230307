/** The time that the charts of a page show, all of them the same. */

import type { Span } from "./drawing";

/** Where a page is in time. */
export interface Present {
  /** On the axis: seconds since 1970, or of device time. */
  now: number;
  /** Since when device time has run as our clock does, and the axis is our clock; Infinity while it does not. */
  oursSince: number;
  /** What a zoom stays with: the device's present boot. */
  name: string;
  /** Where the zero of such a name is on the axis; undefined when it is known no more. */
  zeroOf: (name: string) => number | undefined;
}

export class Timeframe {
  /** Without a zoom the last ones are shown. */
  minutes = $state(15);
  /** Seconds from the zero of a name, so that it stays with its samples. */
  private part = $state.raw<{ name: string; span: Span }>();
  /** Names the charts whose cursors go together. */
  readonly key: string;
  private readonly present: () => Present;

  constructor(key: string, ranges: number[], present: () => Present) {
    this.key = key;
    this.present = present;
    const kept = Number(localStorage.getItem(this.kept));
    if (ranges.includes(kept)) this.minutes = kept;
  }

  private get kept(): string {
    return `softaxe-range-${this.key}`;
  }

  /** Show the last minutes, from now on. */
  choose(minutes: number): void {
    this.part = undefined;
    this.minutes = minutes;
    localStorage.setItem(this.kept, String(minutes));
  }

  get now(): number {
    return this.present().now;
  }

  /** The last minutes, whatever is zoomed. */
  get whole(): Span {
    return [this.now - this.minutes * 60, this.now];
  }

  get zoom(): Span | undefined {
    const zero = this.part && this.present().zeroOf(this.part.name);
    if (!this.part || zero === undefined) return undefined;
    const [low, high] = this.part.span;
    return zero + low <= this.now ? [zero + low, zero + high] : undefined; // time may have been set back
  }

  set zoom(span: Span | undefined) {
    const { name, zeroOf } = this.present();
    const zero = zeroOf(name) ?? 0;
    this.part = span && { name, span: [span[0] - zero, span[1] - zero] };
  }

  /** What is shown. */
  get span(): Span {
    return this.zoom ?? this.whole;
  }

  /** The axis is our clock, as far as it is shown. */
  get isOurs(): boolean {
    return this.present().oursSince <= this.span[0];
  }
}
