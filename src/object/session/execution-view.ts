/** Owns the view of an execution that clients get: its record, with output and ending collected from the journal. */

import type { z } from "zod";
import { DisplayData, OutputData } from "../../protocol/event.ts";
import type { Execution } from "../../protocol/rest.ts";
import { notePassed } from "../runner/collect-garbage.ts";
import { dataOf, Ending } from "../store/event-data.ts";
import type { ExecutionRecord } from "../store/execution-record.ts";
import { bytesOf } from "../store/journal-row.ts";
import type { NamedSession } from "./named-session.ts";
import type { SessionContext } from "./session-context.ts";

const MIB = 1024 * 1024;
const READ_CHARS = MIB;
/** Of each event while its execution is put together: row, frame, parsed. */
const COPIES = 3;
/** `displays` of one execution. */
export const DISPLAYS_MAX_BYTES = 8 * MIB;

interface Collected {
  stdout: string[];
  stderr: string[];
  displays: z.infer<typeof DisplayData>[];
  displayBytes: number;
  areDisplaysTruncated: boolean;
  ending: Ending | null;
  isTruncated: boolean;
}

/** The execution as REST shows it, with everything that the journal keeps of it. For a small one. */
export function viewOf(record: ExecutionRecord, session: NamedSession): Execution {
  const { ending, ...collected } = collect(record, session);
  return {
    ...viewWithout(record, session, ending),
    stdout: collected.stdout.join(""),
    stderr: collected.stderr.join(""),
    displays: collected.displays,
    displays_truncated: collected.areDisplaysTruncated,
    output_truncated: collected.isTruncated,
  };
}

/** The execution without its output. */
export function viewWithout(record: ExecutionRecord, session: NamedSession, ending: Ending | null): Execution {
  const { executionId } = record;
  const { restored } = session.context.record;
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
    stdout: "",
    stderr: "",
    displays: [],
    displays_truncated: false,
    result: ending?.type === "result" ? ending : null,
    error: ending?.type === "error" ? ending : null,
    output_truncated: false,
    ...waitingOf(record, session.context),
    restored: ending?.restored ?? (restored?.executionId === executionId ? restored.note : null),
    first_seq: record.firstSeq,
    last_seq: record.lastSeq,
  };
}

/** The ending of an execution that has ended, read without the events before it. */
export function lastEventOf({ executionId, lastSeq }: ExecutionRecord, session: NamedSession): Ending | null {
  if (lastSeq === null) return null;
  const { entries } = session.context.journal.read(lastSeq - 1, 1, executionId, lastSeq);
  const event = entries.find((entry) => entry.kind === "event" && entry.seq === lastSeq);
  const isEnding = event?.kind === "event" && (event.type === "result" || event.type === "error");
  return isEnding ? dataOf(event, Ending) : null;
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
          const data = dataOf(entry, OutputData);
          collected[data.stream].push(data.data);
          break;
        }
        case "display":
          collected.displayBytes += bytesOf(entry);
          // After the first that is left out all are: a cut is clearer than a hole in the middle.
          if (collected.displayBytes > DISPLAYS_MAX_BYTES) collected.areDisplaysTruncated = true;
          else collected.displays.push(dataOf(entry, DisplayData));
          break;
        case "output_truncated":
          collected.isTruncated = true;
          break;
        case "result":
        case "error":
          collected.ending = dataOf(entry, Ending);
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
