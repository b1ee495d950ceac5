/** Owns the stored record of one execution, and reading it from a row. */
import type { TransactionPolicy } from "../../protocol/client-message.ts";
import type { ExecutionId, SessionName } from "../../protocol/identity.ts";
import type { ExecutionStatus } from "../../protocol/rest.ts";

export interface ExecutionRecord {
  executionId: ExecutionId;
  /** Position among all executions of the client, in the order of their submission. */
  ordinal: number;
  session: SessionName;
  status: ExecutionStatus;
  policy: TransactionPolicy;
  timeout: number;
  submittedAt: number;
  startedAt: number | null;
  finishedAt: number | null;
  firstSeq: number | null;
  lastSeq: number | null;
  /** Null if the object was evicted before it wrote the row: then only the runner's events are known. */
  code: string | null;
  /** The ending tells which files the execution has changed. */
  reportsFiles: boolean;
}

/** A row of the table `execution`, but for the size of the code. */
export type ExecutionRow = {
  execution_id: string;
  ordinal: number;
  session: string;
  status: string;
  transaction_policy: string;
  timeout: number;
  submitted_at: number;
  started_at: number | null;
  finished_at: number | null;
  first_seq: number | null;
  last_seq: number | null;
  code: string | null;
  report_files: number;
};

export function recordOf(row: ExecutionRow): ExecutionRecord {
  return {
    executionId: row.execution_id as ExecutionId,
    ordinal: row.ordinal,
    session: row.session as SessionName,
    status: row.status as ExecutionStatus,
    policy: row.transaction_policy as TransactionPolicy,
    timeout: row.timeout,
    submittedAt: row.submitted_at,
    startedAt: row.started_at,
    finishedAt: row.finished_at,
    firstSeq: row.first_seq,
    lastSeq: row.last_seq,
    code: row.code,
    reportsFiles: row.report_files === 1,
  };
}
