/** Tells the user of a connection that was lost and does not come back at once. */
import type { ConnectionState } from "../client/connection.ts";

/** A connection that is there again sooner is not worth a line. */
const NOTED_AFTER_MS = 2000;

export class LostConnection {
  readonly #note: (text: string) => void;
  #state: ConnectionState = "idle";
  #wasOpen = false;
  #timer: NodeJS.Timeout | undefined;

  constructor(note: (text: string) => void) {
    this.#note = note;
  }

  /** True while the service cannot be told anything. */
  get isLost(): boolean {
    return this.#state === "waiting" || this.#state === "connecting";
  }

  take(state: ConnectionState): void {
    this.#state = state;
    if (state === "open") this.#wasOpen = true;
    if (!this.isLost) {
      clearTimeout(this.#timer);
      this.#timer = undefined;
    } else if (this.#wasOpen) {
      this.#timer ??= setTimeout(
        () => this.#note("the connection is lost, and tried again; Ctrl-C leaves"),
        NOTED_AFTER_MS,
      ).unref();
    }
  }
}
