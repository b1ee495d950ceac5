/** Owns one execution's request and its stage of life. `run.ts` runs it; `event-sink.ts` has its events. */
import { hash } from "node:crypto";
import type { ExecutionId } from "../../../src/protocol/identity.ts";
import { DEFAULT_LIMITS } from "../../../src/protocol/limits.ts";
import type { EndedToolCall } from "../../../src/protocol/tool.ts";
import type { OfferedTools, SessionEnv } from "../../channel/runner-message.ts";
import type { EventSink } from "../events/event-sink.ts";
import type { Submission } from "../session-contract.ts";

/** Longer code is compared by its hash. */
const LONGEST_CODE_KEPT = 256;

export class Execution {
  readonly id: ExecutionId;
  readonly policy: Submission["transaction_policy"];
  readonly timeoutSeconds: number;
  readonly fingerprint: string;
  /** The ending tells which files it has changed. */
  readonly reportsFiles: boolean;
  readonly events: EventSink;
  /** What `os.environ` must have besides; null: nothing was ever kept for the session. */
  readonly env: SessionEnv | null;
  /** Null: it has no tools. Forgotten once the code was sent. */
  offered: OfferedTools | null;
  /** The tool calls that have ended, for the ending; the first hundred. */
  readonly endedToolCalls: EndedToolCall[] = [];
  /** Emptied once the code was sent. */
  code: string;

  constructor(submission: Submission, events: EventSink, env: SessionEnv | null) {
    this.id = submission.execution_id;
    this.code = submission.code;
    this.env = env;
    this.offered = offeredTo(submission);
    this.policy = submission.transaction_policy;
    this.timeoutSeconds = submission.timeout ?? DEFAULT_LIMITS.timeoutSeconds;
    this.reportsFiles = submission.report_files ?? false;
    this.fingerprint = fingerprint(submission.code);
    this.events = events;
  }
}

function offeredTo({ tools, max_tool_calls, max_parallel_tool_calls }: Submission): OfferedTools | null {
  if (tools === undefined || tools.length === 0) return null;
  return {
    tools,
    max_tool_calls: max_tool_calls ?? DEFAULT_LIMITS.toolCalls,
    max_parallel_tool_calls: max_parallel_tool_calls ?? DEFAULT_LIMITS.parallelToolCalls,
  };
}

/** A short text that differs for different code. */
export function fingerprint(code: string): string {
  return code.length <= LONGEST_CODE_KEPT ? code : hash("sha256", code);
}
