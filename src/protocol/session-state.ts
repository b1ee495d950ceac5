/** Owns the fields that describe a session: its activity, the answers that its code waits for, and its losses. */
import { z } from "zod";
import { InputData, ToolCallData } from "./event.ts";
import { ExecutionId } from "./identity.ts";
import { Missing } from "./restored.ts";

export const SessionState = z.enum(["starting", "ready", "busy", "suspended", "restored", "reset", "ended"]);
export type SessionState = z.infer<typeof SessionState>;

export { Missing };

/** What an execution waits for. */
export const WaitingFor = z.enum(["input", "tool"]);
export type WaitingFor = z.infer<typeof WaitingFor>;

/** An `input()` that waits for an answer. */
export const PendingInput = InputData.pick({
  input_id: true,
  prompt: true,
  password: true,
  timeout: true,
}).extend({ execution_id: ExecutionId });
export type PendingInput = z.infer<typeof PendingInput>;

/** A tool call that waits for an answer, whole, so that a client that comes back can answer it. */
export const PendingToolCall = ToolCallData.pick({
  call_id: true,
  name: true,
  arguments: true,
  batch: true,
  timeout: true,
}).extend({ execution_id: ExecutionId });
export type PendingToolCall = z.infer<typeof PendingToolCall>;
