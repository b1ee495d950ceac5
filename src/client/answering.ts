/** Owns what a run's callbacks do with its events: show output, answer questions, call tools. */
import type { InputRequest, RunSettings, Tool, ToolFunction } from "./run-options.ts";
import type { ToolAnswer, WireEvent } from "./wire.ts";

export interface AnsweringOptions {
  settings: RunSettings;
  /** The function of that name; undefined: another client's. */
  toolOf(name: string): ToolFunction | Tool | undefined;
  /** Whether the question or call still waits; asked for events that may be sent again. */
  isPending(event: WireEvent): Promise<boolean>;
  sendInput(inputId: string, value: string | null): Promise<void>;
  sendToolResult(answer: ToolAnswer): Promise<void>;
  /** A callback threw. */
  failed(error: unknown): void;
}

export class Answering {
  readonly #options: AnsweringOptions;

  constructor(options: AnsweringOptions) {
    this.#options = options;
  }

  /** @throws what a callback throws. */
  take(event: WireEvent): void {
    const { settings } = this.#options;
    settings.onEvent?.(event);
    switch (event.type) {
      case "output":
        settings.onOutput?.(event.data.data, event.data.stream);
        return;
      case "display": {
        const { mime, metadata, display_id: displayId = null } = event.data;
        settings.onDisplay?.({ mime, metadata, displayId });
        return;
      }
      case "input":
        if (settings.onInput !== undefined) void this.#answer(event, () => this.#askFor(event.data));
        return;
      case "tool_call": {
        const tool = this.#options.toolOf(event.data.name);
        if (tool !== undefined) void this.#answer(event, () => this.#call(tool, event.data));
        return;
      }
      case "tool_done":
      case "clear_output":
      case "output_truncated":
      case "result":
      case "error":
        return;
      default:
        event satisfies never;
    }
  }

  async #answer(event: WireEvent, answer: () => Promise<void>): Promise<void> {
    try {
      if (await this.#options.isPending(event)) await answer();
    } catch (error) {
      this.#options.failed(error);
    }
  }

  async #askFor(request: InputRequest): Promise<void> {
    const { settings, sendInput } = this.#options;
    await sendInput(request.input_id, (await settings.onInput?.(request)) ?? null);
  }

  /** What a tool throws is raised in Python, where the code may handle it. */
  async #call(
    tool: ToolFunction | Tool,
    { call_id, arguments: given }: { call_id: string; arguments: Record<string, unknown> },
  ): Promise<void> {
    const call = typeof tool === "function" ? tool : tool.run;
    let answer: ToolAnswer;
    try {
      answer = { call_id, value: (await call(given)) ?? null };
    } catch (error) {
      const { name, message } = error instanceof Error ? error : new Error(String(error));
      answer = { call_id, error: { type: name, message } };
    }
    await this.#options.sendToolResult(answer);
  }
}
