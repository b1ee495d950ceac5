/** Owns which `input()` calls of one session wait for an answer. */

import { InputEvent, isTerminal } from "../../protocol/event.ts";
import type { ExecutionId } from "../../protocol/identity.ts";
import type { PendingInput } from "../../protocol/session-state.ts";
import type { JournalEvent } from "../store/journal-row.ts";

export class PendingInputs {
  readonly #byExecution = new Map<ExecutionId, PendingInput>();

  /** The oldest prompt that waits. */
  get current(): PendingInput | null {
    return this.#byExecution.values().next().value ?? null;
  }

  /** The prompt at which an execution waits. */
  of(id: ExecutionId): PendingInput | null {
    return this.#byExecution.get(id) ?? null;
  }

  /** Keeps the prompt of an `input` event, and forgets it when its execution ends. */
  noteEvent({ type, executionId, frame }: JournalEvent): void {
    if (type === "input") {
      const { input_id, prompt, password, timeout } = InputEvent.parse(JSON.parse(frame)).data;
      this.#byExecution.set(executionId, { input_id, prompt, password, timeout, execution_id: executionId });
    } else if (isTerminal(type)) {
      this.#byExecution.delete(executionId);
    }
  }

  /** Replaces everything by the runner's list. The runner knows about answers that were given while no link was open. */
  replace(input: PendingInput | null): void {
    this.#byExecution.clear();
    if (input !== null) this.#byExecution.set(input.execution_id, input);
  }

  /** Takes the prompt with this id away, so that only one answer reaches it. @returns false if it does not wait. */
  take(inputId: string): boolean {
    for (const [id, input] of this.#byExecution) if (input.input_id === inputId) return this.#byExecution.delete(id);
    return false;
  }

  clear(): void {
    this.#byExecution.clear();
  }
}
