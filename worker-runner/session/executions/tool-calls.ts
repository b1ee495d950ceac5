/** Owns the tool calls of one run: which wait for the client, how long each may wait, and how each ended. */
import type { PendingToolCall } from "../../../src/protocol/session-state.ts";
import type { EndedToolCall, OfferedTool, ToolResult, ToolStatus } from "../../../src/protocol/tool.ts";
import { ChannelViolation } from "../../channel/framing.ts";
import type { MessageOf } from "../../channel/message.ts";
import type { ToolAnswer } from "../../channel/runner-message.ts";
import { toolCallFrame, toolDoneFrame } from "../events/event-frame.ts";
import type { Execution } from "./execution.ts";

/** How many characters of output a call counts as, beside its arguments. */
const CALL_CHARACTERS = 512;
const MAX_TOLD = 100;
/** The longest delay that setTimeout accepts. */
const LONGEST_TIMER_MS = 2 ** 31 - 1;

/** The run that the calls belong to. */
export interface ToolCallsOwner {
  /** Counts what is sent to clients. @returns false if the execution may send no more. */
  takeRoom(characters: number): boolean;
  /** Tells Python. */
  answer(answer: ToolAnswer): void;
  /** Calls wait now, or none does any more. */
  onWaiting(isWaiting: boolean): void;
}

interface Waiting {
  call: PendingToolCall;
  beganAt: number;
  endsAt: number;
  timer: NodeJS.Timeout;
}

export class ToolCalls {
  readonly #execution: Execution;
  readonly #owner: ToolCallsOwner;
  readonly #tools: ReadonlyMap<string, OfferedTool>;
  readonly #maxParallel: number;
  readonly #waiting = new Map<string, Waiting>();
  #callsLeft: number;

  constructor(execution: Execution, owner: ToolCallsOwner) {
    const { offered } = execution;
    this.#execution = execution;
    this.#owner = owner;
    this.#tools = new Map(offered?.tools.map((tool) => [tool.name, tool]));
    this.#callsLeft = offered?.max_tool_calls ?? 0;
    this.#maxParallel = offered?.max_parallel_tool_calls ?? 0;
  }

  /** The calls that wait, each with the seconds that are left to it. */
  get pending(): PendingToolCall[] {
    const now = performance.now();
    return [...this.#waiting.values()].map(({ call, endsAt }) => ({
      ...call,
      timeout: Math.max(0, endsAt - now) / 1000,
    }));
  }

  /** @throws ChannelViolation if Python makes a call that it must not make. */
  begin(message: MessageOf<"tool_call">): void {
    const { call_id, name, batch } = message;
    const tool = this.#tools.get(name);
    if (tool === undefined) throw new ChannelViolation("a call of a tool that is not offered to the execution");
    if (this.#waiting.has(call_id)) throw new ChannelViolation("two tool calls have one id");
    if (this.#callsLeft <= 0) throw new ChannelViolation("more tool calls than the execution is allowed");
    if (this.#waiting.size >= this.#maxParallel)
      throw new ChannelViolation("more tool calls at the same time than are allowed");
    this.#callsLeft -= 1;
    const argumentsJson = JSON.stringify(message.arguments);
    if (!this.#owner.takeRoom(argumentsJson.length + CALL_CHARACTERS)) return;
    const { events, id } = this.#execution;
    const { timeout } = tool;
    const timer = setTimeout(() => this.#timeOut(call_id), Math.min(timeout * 1000, LONGEST_TIMER_MS));
    const beganAt = performance.now();
    const call = { call_id, name, arguments: message.arguments, batch, timeout, execution_id: id };
    this.#waiting.set(call_id, { call, beganAt, endsAt: beganAt + timeout * 1000, timer });
    if (this.#waiting.size === 1) this.#owner.onWaiting(true);
    events.emit("tool_call", (seq, context) => toolCallFrame(seq, context, message, argumentsJson, timeout));
  }

  /** The first answer counts. @returns false if no call of that id waits. */
  answer({ call_id, value, error }: ToolResult): boolean {
    if (!this.#end(call_id, error === undefined ? "ok" : "error")) return false;
    if (error === undefined) this.#owner.answer({ type: "tool_answer", call_id, status: "ok", value });
    else this.#owner.answer({ type: "tool_answer", call_id, status: "error", error });
    return true;
  }

  /** Python does not wait for the answer any more. */
  cancel(callId: string): void {
    this.#end(callId, "cancelled");
  }

  /** The run is over: nobody waits for answers. */
  endAll(status: "cancelled" | "lost"): void {
    for (const callId of [...this.#waiting.keys()]) this.#end(callId, status);
  }

  #timeOut(callId: string): void {
    if (this.#end(callId, "timed_out")) {
      this.#owner.answer({ type: "tool_answer", call_id: callId, status: "timed_out" });
    }
  }

  /** The event goes out before Python has the answer, so that all that follows from the answer comes behind it. */
  #end(callId: string, status: ToolStatus): boolean {
    const waiting = this.#waiting.get(callId);
    if (waiting === undefined) return false;
    this.#waiting.delete(callId);
    clearTimeout(waiting.timer);
    const { events, endedToolCalls } = this.#execution;
    const ended: EndedToolCall = { name: waiting.call.name, call_id: callId, status };
    if (endedToolCalls.length < MAX_TOLD) endedToolCalls.push(ended);
    const duration = (performance.now() - waiting.beganAt) / 1000;
    events.emit("tool_done", (seq, context) => toolDoneFrame(seq, context, ended, duration));
    if (this.#waiting.size === 0) this.#owner.onWaiting(false);
    return true;
  }
}
