/** Owns the view of an execution that clients get: its record, with output and ending collected from the journal. */

import type { z } from "zod";
import { ProblemError } from "../../problem.ts";
import type { ErrorData, OutputData, ResultData } from "../../protocol/event.ts";
import type { SessionName } from "../../protocol/identity.ts";
import type { Execution, ExecutionList } from "../../protocol/rest.ts";
import { notePassed } from "../runner/collect-garbage.ts";
import type { ExecutionRecord, ExecutionTable } from "../store/execution-table.ts";
import type { NamedSession } from "./named-session.ts";

const READ_CHARS = 1024 * 1024;
/** Of each event while its execution is put together: row, frame, parsed. */
const COPIES = 3;
/** Output in one page of executions. */
const PAGE_OUTPUT_CHARS = 4 * 1024 * 1024;

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
  return {
    execution_id: record.executionId,
    session: record.session,
    status: record.status,
    code: record.code ?? "",
    transaction_policy: record.policy,
    timeout: record.timeout,
    submitted_at: record.submittedAt,
    started_at: record.startedAt,
    finished_at: record.finishedAt,
    execution_time: ending?.execution_time ?? null,
    stdout: stdout.join(""),
    stderr: stderr.join(""),
    result: ending?.type === "result" ? ending : null,
    error: ending?.type === "error" ? ending : null,
    output_truncated: isTruncated,
    pending_input: session.context.pendingInputs.of(record.executionId),
    first_seq: record.firstSeq,
    last_seq: record.lastSeq,
  };
}

/**
 * One page of executions, newest first; `next` is the `before` of the page after. Output is given as far as a page's
 * budget goes, the newest first; what is left out reads as truncated, and is there in the execution itself.
 *
 * @throws ProblemError where `before` is no page's `next`.
 */
export function pageOf(
  executions: ExecutionTable,
  query: { session?: SessionName; limit: number; before?: string },
  sessionOf: (name: SessionName) => NamedSession,
): z.infer<typeof ExecutionList> {
  const before = query.before === undefined ? Number.MAX_SAFE_INTEGER : Number(query.before);
  if (!Number.isSafeInteger(before)) {
    throw new ProblemError({ code: "invalid_request", detail: "`before` is the `next` of the page before." });
  }
  const found = executions.list(query.session, query.limit + 1, before);
  const page = found.slice(0, query.limit);
  const last = found.length > query.limit ? page.at(-1) : undefined;
  let left = PAGE_OUTPUT_CHARS;
  const shown = page.map((record) => {
    const view = viewOf(record, sessionOf(record.session));
    const chars = view.stdout.length + view.stderr.length;
    if (chars <= left) {
      left -= chars;
      return view;
    }
    return { ...view, stdout: "", stderr: "", output_truncated: true };
  });
  return { executions: shown, next: last === undefined ? null : String(last.ordinal) };
}

function collect(record: ExecutionRecord, { context: { journal } }: NamedSession): Collected {
  const collected: Collected = { stdout: [], stderr: [], ending: null, isTruncated: false };
  if (record.firstSeq === null || record.lastSeq === null) return collected;
  let after = record.firstSeq - 1;
  while (after < record.lastSeq) {
    const { entries, upTo } = journal.read(after, READ_CHARS, record.executionId, record.lastSeq);
    for (const entry of entries) {
      if (entry.kind === "event") notePassed(COPIES * entry.frame.length);
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
