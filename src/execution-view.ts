/** Owns how an execution looks to clients: its record, with output and ending put together from the journal. */

import type { z } from "zod";
import type { ExecutionRecord } from "./executions.ts";
import type { NamedSession } from "./named-session.ts";
import type { ErrorData, OutputData, ResultData } from "./protocol/event.ts";
import type { Execution } from "./protocol/rest.ts";

const READ_CHARS = 1024 * 1024;

type Ending = z.infer<typeof ResultData> | z.infer<typeof ErrorData>;

interface Collected {
  stdout: string[];
  stderr: string[];
  ending: Ending | null;
  isTruncated: boolean;
}

/** The execution as REST shows it. */
export function viewOf(record: ExecutionRecord, session: NamedSession): Execution {
  const { stdout, stderr, ending, isTruncated } = collect(record, session);
  const startedAt =
    record.startedAt ??
    (record.finishedAt !== null && ending !== null
      ? Math.max(record.submittedAt, record.finishedAt - ending.execution_time)
      : record.firstSeq === null
        ? null
        : record.submittedAt);
  return {
    execution_id: record.executionId,
    session: record.session,
    status: record.status,
    code: record.code ?? "",
    transaction_policy: record.policy,
    timeout: record.timeout,
    submitted_at: record.submittedAt,
    started_at: startedAt,
    finished_at: record.finishedAt,
    execution_time: ending?.execution_time ?? null,
    stdout: stdout.join(""),
    stderr: stderr.join(""),
    result: ending?.type === "result" ? ending : null,
    error: ending?.type === "error" ? ending : null,
    output_truncated: isTruncated,
    pending_input: session.parts.executions.pendingInput(record.executionId),
    first_seq: record.firstSeq,
    last_seq: record.lastSeq,
  };
}

function collect(record: ExecutionRecord, { journal }: NamedSession): Collected {
  const collected: Collected = { stdout: [], stderr: [], ending: null, isTruncated: false };
  if (record.firstSeq === null || record.lastSeq === null) return collected;
  let after = record.firstSeq - 1;
  while (after < record.lastSeq) {
    const { entries, upTo } = journal.read(after, READ_CHARS, record.executionId, record.lastSeq);
    for (const entry of entries) {
      if (entry.kind === "gap") {
        collected.isTruncated ||= entry.from <= record.lastSeq;
        continue;
      }
      if (entry.type === "output") {
        const { data } = JSON.parse(entry.frame) as { data: z.infer<typeof OutputData> };
        collected[data.stream].push(data.data);
      } else if (entry.type === "output_truncated") {
        collected.isTruncated = true;
      } else if (entry.type === "result" || entry.type === "error") {
        collected.ending = (JSON.parse(entry.frame) as { data: Ending }).data;
      }
    }
    if (upTo <= after) break;
    after = upTo;
  }
  return collected;
}
