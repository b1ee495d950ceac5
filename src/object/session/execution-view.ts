/** Owns the view of an execution that clients get: its record, with output and ending collected from the journal. */

import type { z } from "zod";
import { ProblemError } from "../../problem.ts";
import type { DisplayData, ErrorData, OutputData, ResultData } from "../../protocol/event.ts";
import type { SessionName } from "../../protocol/identity.ts";
import type { Execution, ExecutionList } from "../../protocol/rest.ts";
import { notePassed } from "../runner/collect-garbage.ts";
import type { ExecutionRecord, ExecutionTable } from "../store/execution-table.ts";
import { bytesOf } from "../store/journal-row.ts";
import { cutToSize, jsonBytesOf, transferBytesOf, withoutContent } from "./execution-size.ts";
import type { NamedSession } from "./named-session.ts";
import type { SessionContext } from "./session-context.ts";

const MIB = 1024 * 1024;
const READ_CHARS = MIB;
/** Of each event while its execution is put together: row, frame, parsed. */
const COPIES = 3;
/** One page of executions, as JSON. */
const PAGE_MAX_BYTES = 4 * MIB;
/** An execution without its content, at most; kept free for each execution of a page. */
const SHORT_VIEW_BYTES = 8 * 1024;
/** The object's answer to the front; the platform takes at most 32 MiB. */
const VIEW_MAX_BYTES = 28 * MIB;
/** `displays` of one execution. */
const DISPLAYS_MAX_BYTES = 8 * MIB;

type Ending = z.infer<typeof ResultData> | z.infer<typeof ErrorData>;

interface Collected {
  stdout: string[];
  stderr: string[];
  displays: z.infer<typeof DisplayData>[];
  displayBytes: number;
  areDisplaysTruncated: boolean;
  ending: Ending | null;
  isTruncated: boolean;
}

/** The execution as REST shows it. Output that is too large for one answer is left out, the oldest first. */
export function viewOf(record: ExecutionRecord, session: NamedSession): Execution {
  return cutToSize(wholeViewOf(record, session), VIEW_MAX_BYTES, transferBytesOf);
}

function wholeViewOf(record: ExecutionRecord, session: NamedSession): Execution {
  const { record: sessionRecord } = session.context;
  const { executionId } = record;
  const { ending, ...collected } = collect(record, session);
  const { restored } = sessionRecord;
  return {
    execution_id: executionId,
    session: record.session,
    status: record.status,
    code: record.code ?? "",
    transaction_policy: record.policy,
    timeout: record.timeout,
    submitted_at: record.submittedAt,
    started_at: record.startedAt,
    finished_at: record.finishedAt,
    execution_time: ending?.execution_time ?? null,
    stdout: collected.stdout.join(""),
    stderr: collected.stderr.join(""),
    displays: collected.displays,
    displays_truncated: collected.areDisplaysTruncated,
    result: ending?.type === "result" ? ending : null,
    error: ending?.type === "error" ? ending : null,
    output_truncated: collected.isTruncated,
    ...waitingOf(record, session.context),
    restored: ending?.restored ?? (restored?.executionId === executionId ? restored.note : null),
    first_seq: record.firstSeq,
    last_seq: record.lastSeq,
  };
}

/** What the code waits for, if it waits. */
function waitingOf(
  { executionId }: ExecutionRecord,
  { pendingInputs, pendingTools }: SessionContext,
): Pick<Execution, "pending_input" | "pending_tool_calls" | "waiting_for"> {
  const pending_input = pendingInputs.of(executionId);
  const pending_tool_calls = pendingTools.of(executionId);
  const waiting_for = pending_input !== null ? "input" : pending_tool_calls.length > 0 ? "tool" : null;
  return { pending_input, pending_tool_calls, waiting_for };
}

/**
 * One page of executions, newest first; `next` is the `before` of the page after. Content is given as far as a page's
 * budget goes, the newest first. Content that is left out reads as truncated, and is there in the execution itself.
 *
 * @throws ProblemError if `before` is not the `next` of a page.
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
  let left = PAGE_MAX_BYTES - page.length * SHORT_VIEW_BYTES;
  const shown = page.map((record) => {
    const view = wholeViewOf(record, sessionOf(record.session));
    // The first measure is the cheaper one, and never larger than twice the second.
    const bytes = transferBytesOf(view) > 2 * left ? Number.POSITIVE_INFINITY : jsonBytesOf(view);
    if (bytes > left) return withoutContent(view);
    left -= bytes;
    return view;
  });
  return { executions: shown, next: last === undefined ? null : String(last.ordinal) };
}

function collect(record: ExecutionRecord, { context: { journal } }: NamedSession): Collected {
  const collected: Collected = {
    stdout: [],
    stderr: [],
    displays: [],
    displayBytes: 0,
    areDisplaysTruncated: false,
    ending: null,
    isTruncated: false,
  };
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
      switch (entry.type) {
        case "output": {
          const { data } = JSON.parse(entry.frame) as { data: z.infer<typeof OutputData> };
          collected[data.stream].push(data.data);
          break;
        }
        case "display":
          collected.displayBytes += bytesOf(entry);
          // After the first that is left out all are: a cut is clearer than a hole in the middle.
          if (collected.displayBytes > DISPLAYS_MAX_BYTES) collected.areDisplaysTruncated = true;
          else collected.displays.push((JSON.parse(entry.frame) as { data: z.infer<typeof DisplayData> }).data);
          break;
        case "output_truncated":
          collected.isTruncated = true;
          break;
        case "result":
        case "error":
          collected.ending = (JSON.parse(entry.frame) as { data: Ending }).data;
          break;
        case "input":
        case "clear_output":
        case "tool_call":
        case "tool_done":
          break;
        default:
          entry.type satisfies never;
      }
    }
    if (upTo <= after) break;
    after = upTo;
  }
  return collected;
}
