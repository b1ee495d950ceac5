/** Owns which tool calls of one session wait for an answer. */
import { isTerminal, ToolCallEvent, ToolDoneEvent } from "../../protocol/event.ts";
import type { ExecutionId } from "../../protocol/identity.ts";
import type { PendingToolCall } from "../../protocol/session-state.ts";
import type { JournalEvent } from "../store/journal-row.ts";

export class PendingToolCalls {
  readonly #calls = new Map<string, PendingToolCall>();

  /** In the order in which the code made them. */
  get current(): PendingToolCall[] {
    return [...this.#calls.values()];
  }

  of(id: ExecutionId): PendingToolCall[] {
    return this.current.filter((call) => call.execution_id === id);
  }

  find(callId: string): PendingToolCall | undefined {
    return this.#calls.get(callId);
  }

  noteEvent({ type, executionId, frame }: JournalEvent): void {
    if (type === "tool_call") {
      const { call_id, name, arguments: given, batch, timeout } = ToolCallEvent.parse(JSON.parse(frame)).data;
      this.#calls.set(call_id, { call_id, name, arguments: given, batch, timeout, execution_id: executionId });
    } else if (type === "tool_done") {
      this.#calls.delete(ToolDoneEvent.parse(JSON.parse(frame)).data.call_id);
    } else if (isTerminal(type) && this.#calls.size > 0) {
      for (const { call_id } of this.of(executionId)) this.#calls.delete(call_id);
    }
  }

  /** Replaces everything by the runner's list. */
  replace(calls: readonly PendingToolCall[]): void {
    this.#calls.clear();
    for (const call of calls) this.#calls.set(call.call_id, call);
  }

  /** Takes a call away, so that only one answer reaches it. */
  take(callId: string): void {
    this.#calls.delete(callId);
  }

  clear(): void {
    this.#calls.clear();
  }
}
