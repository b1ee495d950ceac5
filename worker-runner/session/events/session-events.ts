/** Owns what the events of one session share: their numbers, the longest frame of output, and the listeners. */
import type { ExecutionId } from "../../../src/protocol/identity.ts";
import type { NumberedEvent, SessionListener } from "../session-contract.ts";
import { SessionError } from "../session-error.ts";
import type { KeptOutput } from "./output-retention.ts";

export type ToldState = Parameters<NonNullable<SessionListener["state"]>>[0];

export class SessionEvents {
  readonly #listeners = new Set<SessionListener>();
  /** The number of the last event. */
  lastSeq = 0;
  /** The longest frame of output, in bytes; 0: no limit. */
  frameLimitBytes = 0;

  /** How much of each execution's output is of use to the listeners. */
  keptOutput: KeptOutput = null;

  /** @throws SessionError `invalid_call` after the first event. */
  numberFrom(base: number): void {
    if (this.lastSeq !== 0) throw new SessionError("invalid_call", "the session's events are numbered already");
    this.lastSeq = base;
  }

  /** @returns a function that ends the subscription. */
  subscribe(listener: SessionListener): () => void {
    this.#listeners.add(listener);
    return () => {
      this.#listeners.delete(listener);
    };
  }

  /** Sends an event to the listeners. Its number becomes the last one. */
  publish(event: NumberedEvent): void {
    this.lastSeq = event.seq;
    for (const listener of this.#listeners) listener.event?.(event);
  }

  tellStarted(executionId: ExecutionId, startedAt: number): void {
    for (const listener of this.#listeners) listener.started?.(executionId, startedAt);
  }

  tellState(state: ToldState, reason: string): void {
    for (const listener of this.#listeners) listener.state?.(state, reason);
  }

  tellBusy(isBusy: boolean): void {
    for (const listener of this.#listeners) listener.busy?.(isBusy);
  }

  /** Removes every listener. */
  close(): void {
    this.#listeners.clear();
  }
}
