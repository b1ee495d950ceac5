/** Owns translating a session's activity into the fields of the link. */
import type { LinkReply } from "../../../src/protocol/link.ts";
import type { SessionActivity } from "../../session/session-contract.ts";

type Opened = Extract<LinkReply, { type: "opened" }>;

/** The fields that `opened` and `status` share. */
export function describeStatus(
  status: SessionActivity,
): Pick<
  Opened,
  "state" | "last_seq" | "running" | "running_since" | "queued" | "pending_input" | "pending_tool_calls"
> {
  return {
    state: status.state,
    last_seq: status.lastSeq,
    running: status.running,
    running_since: status.runningSince,
    queued: status.queued,
    pending_input: status.pendingInput,
    pending_tool_calls: status.pendingToolCalls,
  };
}
