/** Owns reading from the journal which tool calls of an execution have ended. */
import { ToolDoneEvent } from "../../protocol/event.ts";
import type { EndedToolCall } from "../../protocol/tool.ts";
import type { ExecutionRecord } from "../store/execution-record.ts";
import type { Journal } from "../store/journal.ts";

const READ_CHARS = 1024 * 1024;
const MAX_TOLD = 100;

/** The first hundred. */
export function endedToolCalls(execution: ExecutionRecord, journal: Journal): EndedToolCall[] {
  const ended: EndedToolCall[] = [];
  const { firstSeq, lastSeq, executionId } = execution;
  if (firstSeq === null || lastSeq === null) return ended;
  for (let after = firstSeq - 1; after < lastSeq && ended.length < MAX_TOLD; ) {
    const { entries, upTo } = journal.read(after, READ_CHARS, executionId, lastSeq);
    for (const entry of entries) {
      if (entry.kind !== "event" || entry.type !== "tool_done" || ended.length === MAX_TOLD) continue;
      const { name, call_id, status } = ToolDoneEvent.parse(JSON.parse(entry.frame)).data;
      ended.push({ name, call_id, status });
    }
    if (upTo <= after) break;
    after = upTo;
  }
  return ended;
}
