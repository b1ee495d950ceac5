/** Owns the HTTP calls about one execution: its record, its end before its time, and the answers that it waits for. */
import type { Execution } from "../protocol/rest.ts";
import type { Rest } from "./rest.ts";
import type { ToolAnswer, WireEvent } from "./wire.ts";

export class ExecutionCalls {
  readonly #rest: Rest;

  constructor(rest: Rest) {
    this.#rest = rest;
  }

  record(id: string): Promise<Execution> {
    return this.#rest.json("GET", `executions/${encodeURIComponent(id)}`);
  }

  async cancel(id: string): Promise<void> {
    await this.#rest.json("POST", `executions/${encodeURIComponent(id)}/cancel`);
  }

  async answerInput(id: string, inputId: string, value: string | null): Promise<void> {
    const json = { input_id: inputId, value };
    await this.#rest.json("POST", `executions/${encodeURIComponent(id)}/input`, { json });
  }

  async answerTool(id: string, answer: ToolAnswer): Promise<void> {
    const json = { results: [answer] };
    await this.#rest.json("POST", `executions/${encodeURIComponent(id)}/tool-results`, { json });
  }

  /** Whether the question or call of an event still waits for its answer. */
  async isPending(id: string, event: WireEvent): Promise<boolean> {
    const { pending_input: input, pending_tool_calls: calls } = await this.record(id);
    if (event.type === "input") return input?.input_id === event.data.input_id;
    return event.type === "tool_call" && calls.some(({ call_id: callId }) => callId === event.data.call_id);
  }
}
