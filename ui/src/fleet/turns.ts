/** Looks that never overtake each other. */

/** Do `work` again and again, `everyMs` after its end, until the answer is called. */
export function repeat(work: () => Promise<void>, everyMs: number): () => void {
  let isOver = false;
  void (async () => {
    while (!isOver) {
      await work();
      await new Promise((resolve) => setTimeout(resolve, everyMs));
    }
  })();
  return () => (isOver = true);
}

/** Let `look` run once at a time; all who ask while it runs share one more look. */
export function inTurn(look: () => Promise<void>): () => Promise<void> {
  let running: Promise<void> | undefined;
  let next: Promise<void> | undefined;
  const begin = (): Promise<void> => {
    running = look().finally(() => (running = undefined));
    return running;
  };
  return () => {
    if (!running) return begin();
    next ??= running.catch(() => undefined).then(() => {
      next = undefined;
      return begin();
    });
    return next;
  };
}
