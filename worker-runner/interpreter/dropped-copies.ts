/** Owns the copies that nobody needs any more and that still have to be ended. They are ended in batches, to save messages. */
import type { Live } from "./live.ts";

/** Dropped copies are ended together with the next request for a copy, or after this time. */
const DROP_AFTER_MS = 50;

export class DroppedCopies {
  readonly #findLive: () => Live | null;
  #pids: number[] = [];
  #timer: NodeJS.Timeout | undefined;

  /** @param findLive returns the process that made the copies and can end them. */
  constructor(findLive: () => Live | null) {
    this.#findLive = findLive;
  }

  add(pid: number): void {
    this.#pids.push(pid);
    this.#timer ??= setTimeout(() => {
      this.#timer = undefined;
      // Without a live process the copies wait for the next one, or for a sweep.
      const live = this.#findLive();
      if (live) live.drop(this.takeAll());
    }, DROP_AFTER_MS);
  }

  /** @returns the pids of all dropped copies. The caller ends them. */
  takeAll(): number[] {
    const pids = this.#pids;
    this.#pids = [];
    clearTimeout(this.#timer);
    this.#timer = undefined;
    return pids;
  }
}
