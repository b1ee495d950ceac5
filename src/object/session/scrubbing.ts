/** Owns when deleted data is overwritten: soon after a purge, and once for several purges in a row. */
import { scrub } from "../store/scrub.ts";

/** Between two times, so that a client that purges in a loop does not keep the disk busy. */
const PAUSE_MS = 30_000;

export class Scrubbing {
  readonly #storage: DurableObjectStorage;
  #timer: ReturnType<typeof setTimeout> | null = null;
  #isRunning = false;
  #notBeforeMs = 0;

  constructor(storage: DurableObjectStorage) {
    this.#storage = storage;
  }

  /** Something was deleted for good. @param inBackground lets the work go on when the call is over. */
  want(inBackground: (work: Promise<unknown>) => void): void {
    if (this.#timer !== null) return;
    const waitMs = Math.max(0, this.#notBeforeMs - Date.now());
    this.#timer = setTimeout(() => {
      this.#timer = null;
      inBackground(this.#run(inBackground));
    }, waitMs);
  }

  async #run(inBackground: (work: Promise<unknown>) => void): Promise<void> {
    if (this.#isRunning) {
      this.want(inBackground);
      return;
    }
    this.#isRunning = true;
    this.#notBeforeMs = Date.now() + PAUSE_MS;
    try {
      await scrub(this.#storage);
    } finally {
      this.#isRunning = false;
    }
  }
}
