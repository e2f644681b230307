/** The device's log: the last lines, kept while the page is open. */

const MOST_LINES = 1000;
const RETRY_MS = 2000;
const SHOW_MS = 200;

export interface Line {
  id: number;
  level: string;
  text: string;
}

class Logs {
  lines = $state.raw<Line[]>([]);
  isConnected = $state(false);
  isPaused = $state(false);
  /** Lines that came during a pause. */
  heldCount = $state(0);
  private held: Line[] = [];
  private next = 0;
  private socket: WebSocket | undefined;
  private timers: number[] = [];

  open(): void {
    this.timers.push(setInterval(() => this.show(), SHOW_MS));
    this.connect();
  }

  close(): void {
    this.timers.forEach(clearTimeout);
    this.timers = [];
    const socket = this.socket;
    this.socket = undefined;
    socket?.close();
    this.isConnected = false;
  }

  /** Connect anew, if at all: a device that was away forgets who listens, and tells nobody. */
  renew(): void {
    if (!this.timers.length) return;
    const socket = this.socket;
    this.connect();
    socket?.close();
  }

  clear(): void {
    this.lines = [];
    this.held = [];
    this.heldCount = 0;
  }

  private connect(): void {
    const scheme = location.protocol === "https:" ? "wss" : "ws";
    const socket = new WebSocket(`${scheme}://${location.host}/api/ws`);
    this.socket = socket;
    this.isConnected = false;
    socket.onopen = () => (this.isConnected = this.socket === socket);
    socket.onmessage = (event) => this.take(String(event.data));
    socket.onclose = () => {
      if (this.socket !== socket) return;
      this.isConnected = false;
      this.timers.push(setTimeout(() => this.connect(), RETRY_MS));
    };
  }

  private take(frame: string): void {
    // eslint-disable-next-line no-control-regex -- ESC starts a colour
    for (const text of frame.replace(/\u001b\[[\d;]*m/g, "").split("\n")) {
      if (text) this.held.push({ id: this.next++, level: /^[EWIDV](?= \()/.exec(text)?.[0] ?? "I", text });
    }
    if (this.held.length > MOST_LINES) this.held.splice(0, this.held.length - MOST_LINES);
  }

  private show(): void {
    if (this.isPaused) {
      this.heldCount = this.held.length;
    } else if (this.held.length) {
      this.lines = [...this.lines, ...this.held].slice(-MOST_LINES);
      this.held = [];
      this.heldCount = 0;
    }
  }
}

export const logs = new Logs();
