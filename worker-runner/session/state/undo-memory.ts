/** Owns giving the memory of copies for undo back to code that needs it. */
import type { Interpreter } from "../../interpreter/interpreter.ts";
import type { Snapshots } from "./snapshots.ts";

/** Above this share of the memory limit, no copies are kept for undo: code needs the room. */
const UNDO_MEMORY_SHARE = 0.25;

export class UndoMemory {
  readonly #snapshots: Snapshots;
  /** True while the memory is measured. */
  #isMeasuring = false;

  constructor(snapshots: Snapshots) {
    this.#snapshots = snapshots;
  }

  /** Ends the copies for undo while the sandbox is short of memory. */
  async ease(interpreter: Interpreter): Promise<void> {
    if (this.#isMeasuring || this.#snapshots.undoable.length === 0) return;
    this.#isMeasuring = true;
    try {
      const { limitedBytes, limitBytes } = await interpreter.memoryStatus();
      if (limitedBytes !== null && limitBytes !== null && limitedBytes >= UNDO_MEMORY_SHARE * limitBytes) {
        this.#snapshots.forgetUndoFrom(0);
        await interpreter.countSnapshots();
      }
    } catch {
      // The sandbox has ended, and the copies with it.
    } finally {
      this.#isMeasuring = false;
    }
  }
}
