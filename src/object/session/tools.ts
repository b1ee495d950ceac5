/** Owns a session's tools at the edge: which of them an execution gets, and sending each answer to the runner, also after a restart. */

import type { z } from "zod";
import { isLongerThan } from "../../byte-length.ts";
import { notFound, ProblemError } from "../../problem.ts";
import { isTerminal, ToolDoneEvent } from "../../protocol/event.ts";
import type { ExecutionId } from "../../protocol/identity.ts";
import {
  offeredTool,
  type ToolBindings,
  type ToolDefinition,
  type ToolOptions,
  type ToolResult,
} from "../../protocol/tool.ts";
import { RequestFailed, type RunnerLink } from "../runner/runner-link.ts";
import type { JournalEvent } from "../store/journal-row.ts";
import type { ExecutionTools } from "../store/tool-store.ts";
import { logFailure } from "./client-stores.ts";
import type { Incarnations } from "./incarnations.ts";
import type { SessionContext } from "./session-context.ts";

const ANSWER_DEADLINE_MS = 10_000;

export class Tools {
  readonly #context: SessionContext;
  readonly #incarnations: Incarnations;

  constructor(context: SessionContext, incarnations: Incarnations) {
    this.#context = context;
    this.#incarnations = incarnations;
  }

  get bindings(): ToolBindings {
    const { stores, record } = this.#context;
    const tools = stores.tools.ofSession(record.name);
    return { tools: tools.map(({ name, python_name }) => ({ name, python_name })) };
  }

  /** Replaces the session's tools; executions that are sent from now on get them. */
  define(tools: readonly ToolDefinition[]): ToolBindings {
    const { stores, record } = this.#context;
    // Tools take room in the store, so that the session counts against the client's limit and a purge finds it.
    if (tools.length > 0) record.isMade = true;
    this.#context.unclaim();
    this.#context.touch();
    this.#context.save();
    stores.tools.setOfSession(record.name, tools.map(offeredTool));
    return this.bindings;
  }

  /** The tools of an execution: the session's, and its own, which come first if two have one Python name. */
  forExecution({ tools: own = [], ...limits }: z.output<typeof ToolOptions>): ExecutionTools | null {
    const { stores, record } = this.#context;
    const tools = own.map(offeredTool);
    const names = new Set(tools.map((tool) => tool.python_name));
    tools.push(...stores.tools.ofSession(record.name).filter((tool) => !names.has(tool.python_name)));
    return tools.length === 0 ? null : { tools, ...limits };
  }

  /**
   * Answers a tool call; the first answer counts. It is on disk before the runner gets it, and is sent again on each new link
   * until the runner has it.
   *
   * @throws ProblemError `not_found` if no call waits for it, `payload_too_large`.
   */
  async answer(result: ToolResult, executionId?: ExecutionId): Promise<void> {
    const { stores, record, pendingTools } = this.#context;
    const link = await this.#incarnations.resume();
    const call = pendingTools.find(result.call_id);
    const isWaiting = call !== undefined && (executionId === undefined || call.execution_id === executionId);
    if (link === null || !isWaiting) throw notFound("tool call waiting for an answer");
    const max = stores.settings.MAX_TOOL_VALUE_BYTES;
    if (isLongerThan(JSON.stringify(result.value ?? result.error) ?? "null", max)) {
      throw new ProblemError({ code: "payload_too_large", detail: `A tool's value has at most ${max} bytes.` });
    }
    pendingTools.take(result.call_id);
    this.#context.touch();
    const { call_id, value, error } = result;
    const answer: ToolResult = error === undefined ? { call_id, value } : { call_id, error };
    stores.tools.saveAnswer(record.name, call.execution_id, answer);
    await stores.ctx.storage.sync();
    if (!(await this.#send(answer))) throw notFound("tool call waiting for an answer");
  }

  /** Answers every call that waits, and then names those that do not. @throws ProblemError `not_found`, `payload_too_large`. */
  async answerAll(results: readonly ToolResult[], executionId: ExecutionId): Promise<void> {
    const outcomes = await Promise.allSettled(results.map((result) => this.answer(result, executionId)));
    const errors = outcomes.flatMap((outcome, index) => {
      if (outcome.status === "fulfilled") return [];
      const { reason } = outcome as { reason: unknown };
      if (!(reason instanceof ProblemError) || reason.init.code !== "not_found") throw reason;
      return [{ path: `results.${index}.call_id`, message: "no call waits for it" }];
    });
    if (errors.length > 0) throw new ProblemError({ ...notFound("tool call waiting for an answer").init, errors });
  }

  /** Keeps which calls wait, and forgets the answers of those that are over. */
  noteEvent(event: JournalEvent): void {
    const { stores, pendingTools } = this.#context;
    pendingTools.noteEvent(event);
    if (event.type === "tool_done") {
      stores.tools.forgetAnswer(ToolDoneEvent.parse(JSON.parse(event.frame)).data.call_id);
    } else if (isTerminal(event.type)) {
      stores.tools.forgetExecution(event.executionId);
    }
  }

  /** A link is there: sends the answers that its runner may not have. @param isNew its interpreter has just been started. */
  onReady(link: RunnerLink, isNew: boolean): void {
    const { stores, record } = this.#context;
    for (const { result } of stores.tools.answersOf(record.name)) {
      if (isNew) stores.tools.forgetAnswer(result.call_id);
      else stores.inBackground(this.#send(result, link));
    }
  }

  /** @returns false if the runner says that no call waits for it. */
  async #send(result: ToolResult, link: RunnerLink | null = this.#incarnations.ready): Promise<boolean> {
    const { stores } = this.#context;
    try {
      // Without a link the answer waits for the next one.
      await link?.ask({ type: "tool_result", ...result }, ANSWER_DEADLINE_MS);
      return true;
    } catch (error) {
      if (!(error instanceof RequestFailed)) {
        logFailure(error);
        return true;
      }
      stores.tools.forgetAnswer(result.call_id);
      if (error.code !== "not_found") throw error;
      return false;
    }
  }
}
