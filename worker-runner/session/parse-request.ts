/** Owns the check of an execution that a caller of the library asks for. The edge's requests are checked on the link. */
import { randomUUID } from "node:crypto";
import { ExecuteMessage } from "../../src/protocol/client-message.ts";
import type { CheckpointId, ExecutionId } from "../../src/protocol/identity.ts";
import { offeredTool } from "../../src/protocol/tool.ts";
import type { ExecuteRequest, Submission } from "./session-contract.ts";
import { SessionError } from "./session-error.ts";

/** An id of the shape that the edge gives to its checkpoints. */
export function newCheckpointId(): CheckpointId {
  return `ck_${randomUUID().replaceAll("-", "")}` as CheckpointId;
}

/** @throws SessionError `invalid_call`. */
export function parseRequest(request: ExecuteRequest): Submission {
  const parsed = ExecuteMessage.safeParse({ ...request, type: "execute" });
  if (!parsed.success) throw new SessionError("invalid_call", parsed.error.issues[0]?.message ?? "not an execution");
  const { id = randomUUID(), code, transaction_policy, timeout, tools, report_files } = parsed.data;
  const { max_tool_calls, max_parallel_tool_calls } = parsed.data;
  return {
    execution_id: id as ExecutionId,
    code,
    transaction_policy,
    timeout,
    report_files,
    max_tool_calls,
    max_parallel_tool_calls,
    ...(tools === undefined ? {} : { tools: tools.map(offeredTool) }),
  };
}
