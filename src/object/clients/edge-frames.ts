/** Owns the text of the frames that the edge itself builds. Events from a runner are relayed unchanged. */

import type { z } from "zod";
import { byteLength } from "../../byte-length.ts";
import { type ErrorEvent, OutputData, OutputTruncatedData } from "../../protocol/event.ts";
import type { CheckpointId, ExecutionId } from "../../protocol/identity.ts";
import type { ServerMessage } from "../../protocol/server-message.ts";
import type { PendingToolCall } from "../../protocol/session-state.ts";
import type { EndedToolCall } from "../../protocol/tool.ts";
import { dataOf } from "../store/event-data.ts";
import type { ExecutionRecord } from "../store/execution-record.ts";
import { bytesOf, type JournalEvent } from "../store/journal-row.ts";

type Plain<T> = T extends unknown ? Omit<T, "id"> & { id?: string | undefined } : never;

/** A message as text; an id that is undefined is left out. */
export function frameOf(message: Plain<ServerMessage>): string {
  return JSON.stringify(message);
}

export const TRUNCATED_UNACKNOWLEDGED =
  "the socket does not acknowledge; the output stays readable over REST while it is kept";

export function gapFrame(from: number, to: number): string {
  return frameOf({ type: "gap", data: { from, to } });
}

/** Tells one socket how much was withheld from it. Its seq is that of the last withheld event, which no other message on this socket has. */
export function truncatedFrame(seq: number, executionId: ExecutionId, droppedBytes: number, reason: string): string {
  return frameOf({
    type: "output_truncated",
    seq,
    id: executionId,
    data: {
      id: crypto.randomUUID(),
      timestamp: Date.now() / 1000,
      type: "output_truncated",
      execution_id: executionId,
      dropped_bytes: droppedBytes,
      reason,
    },
  });
}

const OutputText = OutputData.pick({ data: true });

/** Bytes of the text of an output event, or of the whole frame of a display. */
export function textBytesOf(event: JournalEvent): number {
  if (event.type !== "output") return bytesOf(event);
  if (event.textBytes === undefined) {
    event.textBytes = byteLength(dataOf(event, OutputText).data);
  }
  return event.textBytes;
}

/** Bytes that an `output_truncated` event reports. */
export function droppedBytesOf(event: JournalEvent): number {
  return dataOf(event, OutputTruncatedData).dropped_bytes;
}

/** The ending of an execution that no runner can end any more. */
export interface EdgeEnding {
  exceptionType: string;
  message: string;
  reason: z.infer<typeof ErrorEvent>["data"]["reason"];
  state: z.infer<typeof ErrorEvent>["data"]["state"];
  checkpointId: CheckpointId | null;
  lostExecutions: ExecutionId[];
}

/** The terminal event of an execution whose runner is gone, or whose session was ended. */
export function endingEvent(
  record: ExecutionRecord,
  seq: number,
  ending: EdgeEnding,
  toolCalls: EndedToolCall[],
): JournalEvent {
  const now = Date.now() / 1000;
  const frame = frameOf({
    type: "error",
    seq,
    id: record.executionId,
    data: {
      id: crypto.randomUUID(),
      timestamp: now,
      type: "error",
      execution_id: record.executionId,
      exception_type: ending.exceptionType,
      exception_message: ending.message,
      traceback: "",
      execution_time: record.startedAt === null ? 0 : Math.max(0, now - record.startedAt),
      reason: ending.reason,
      transaction: "rolled_back",
      state: ending.state,
      ...(ending.checkpointId === null ? {} : { state_checkpoint_id: ending.checkpointId }),
      ...(ending.lostExecutions.length === 0 ? {} : { lost_executions: ending.lostExecutions }),
      ...(toolCalls.length === 0 ? {} : { tool_calls: toolCalls }),
    },
  });
  return { kind: "event", seq, type: "error", executionId: record.executionId, frame };
}

/** The end of a tool call whose runner is gone, or whose session was ended. */
export function toolDoneEvent(call: PendingToolCall, seq: number, status: "lost" | "cancelled"): JournalEvent {
  const { execution_id: executionId, call_id, name } = call;
  const frame = frameOf({
    type: "tool_done",
    seq,
    id: executionId,
    data: {
      id: crypto.randomUUID(),
      timestamp: Date.now() / 1000,
      type: "tool_done",
      execution_id: executionId,
      call_id,
      name,
      status,
      // When the call began only the runner knew.
      duration: 0,
    },
  });
  return { kind: "event", seq, type: "tool_done", executionId, frame };
}
