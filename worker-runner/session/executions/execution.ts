/** Owns one execution's request and its stage of life. `run.ts` runs it; `event-sink.ts` has its events. */
import { hash } from "node:crypto";
import type { ExecutionId } from "../../../src/protocol/identity.ts";
import { DEFAULT_LIMITS } from "../../../src/protocol/limits.ts";
import type { EventSink } from "../events/event-sink.ts";
import type { Submission } from "../session-contract.ts";

/** Longer code is compared by its hash. */
const LONGEST_CODE_KEPT = 256;

export class Execution {
  readonly id: ExecutionId;
  readonly policy: Submission["transaction_policy"];
  readonly timeoutSeconds: number;
  readonly fingerprint: string;
  readonly events: EventSink;
  /** Emptied once the code was sent. */
  code: string;

  constructor(submission: Submission, events: EventSink) {
    this.id = submission.execution_id;
    this.code = submission.code;
    this.policy = submission.transaction_policy;
    this.timeoutSeconds = submission.timeout ?? DEFAULT_LIMITS.timeoutSeconds;
    this.fingerprint = fingerprint(submission.code);
    this.events = events;
  }
}

/** A short text that differs for different code. */
export function fingerprint(code: string): string {
  return code.length <= LONGEST_CODE_KEPT ? code : hash("sha256", code);
}
