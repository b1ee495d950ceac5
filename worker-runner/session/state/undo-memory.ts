/** Owns giving the memory of copies for undo back to code that needs it. */
import type { Interpreter } from "../../interpreter/interpreter.ts";
import type { Snapshots } from "./snapshots.ts";

/** Above this share of the memory limit, no copies are kept for undo: code needs the room. */
const UNDO_MEMORY_SHARE = 0.25;
/** Between two looks at the memory: without a control group, each one reads many files. */
const INTERVAL_MS = 500;

export class UndoMemory {
  readonly #snapshots: Snapshots;
  readonly #interpreter: () => Interpreter;
  /** The next look. */
  #timer: NodeJS.Timeout | null = null;
  #lookedAt = Number.NEGATIVE_INFINITY;

  /** @param interpreter gives the interpreter in use. */
  constructor(snapshots: Snapshots, interpreter: () => Interpreter) {
    this.#snapshots = snapshots;
    this.#interpreter = interpreter;
  }

  /** Ends the copies for undo if the sandbox is short of memory: now, or when the interval is over. */
  noteCopy(): void {
    if (this.#timer !== null || this.#snapshots.undoable.length === 0) return;
    const waitMs = Math.max(0, this.#lookedAt + INTERVAL_MS - performance.now());
    this.#timer = setTimeout(() => {
      this.#timer = null;
      void this.#look();
    }, waitMs);
  }

  close(): void {
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = null;
  }

  async #look(): Promise<void> {
    this.#lookedAt = performance.now();
    try {
      const interpreter = this.#interpreter();
      const { limitedBytes, limitBytes } = await interpreter.memoryStatus();
      if (limitedBytes !== null && limitBytes !== null && limitedBytes >= UNDO_MEMORY_SHARE * limitBytes) {
        this.#snapshots.forgetUndoFrom(0);
        await interpreter.copies.count();
      }
    } catch {
      // The sandbox has ended, and the copies with it.
    }
  }
}
