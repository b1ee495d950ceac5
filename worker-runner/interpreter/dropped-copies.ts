/** Owns the copies that nobody needs any more and that still have to be ended. */

/** Dropped copies are ended together with the next request for a copy, which saves a message, or after this time. */
const DROP_AFTER_MS = 50;

export class DroppedCopies {
  readonly #end: (pid: number) => void;
  #pids: number[] = [];
  #timer: NodeJS.Timeout | undefined;

  /** @param end ends one of them. */
  constructor(end: (pid: number) => void) {
    this.#end = end;
  }

  add(pid: number): void {
    this.#pids.push(pid);
    this.#timer ??= setTimeout(() => {
      for (const dropped of this.takeAll()) this.#end(dropped);
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
