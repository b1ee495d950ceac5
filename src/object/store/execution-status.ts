/** Owns which status an execution has after its terminal event. */
import { z } from "zod";
import { ErrorReason } from "../../protocol/event.ts";
import type { ExecutionStatus } from "../../protocol/rest.ts";

const STATUS_OF_REASON: Record<ErrorReason, ExecutionStatus> = {
  exception: "failed",
  timeout: "timed_out",
  cancelled: "cancelled",
  interrupted: "cancelled",
  out_of_memory: "crashed",
  process_died: "crashed",
  runner_lost: "lost",
  output_limit: "failed",
};

/** What an `error` says about its cause; a newer runner may give a reason that is not known here. */
const ErrorEnding = z.object({
  data: z.object({ reason: ErrorReason.nullable().catch(null), state: z.string().optional().catch(undefined) }),
});

/** The status of an execution with this terminal event. */
export function statusOf(type: "result" | "error", frame: string): ExecutionStatus {
  if (type === "result") return "succeeded";
  const { reason, state } = ErrorEnding.parse(JSON.parse(frame)).data;
  // Python itself raised the MemoryError, and the interpreter goes on.
  if (reason === "out_of_memory" && (state === "kept" || state === "rolled_back")) return "failed";
  return reason === null ? "failed" : STATUS_OF_REASON[reason];
}
