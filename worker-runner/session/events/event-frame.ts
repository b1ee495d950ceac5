/** Owns the JSON text of the events. It is built once, here; everything between here and the client relays it unchanged. */
import type { z } from "zod";
import type { ErrorReason, ResultData, StateAfterError } from "../../../src/protocol/event.ts";
import type { FileChange } from "../../../src/protocol/file.ts";
import type { CheckpointId, ExecutionId } from "../../../src/protocol/identity.ts";
import type { EndedToolCall } from "../../../src/protocol/tool.ts";
import { assertCheapJson } from "../../channel/json-cost.ts";
import type { MessageOf } from "../../channel/message.ts";
import type { StreamName } from "../../interpreter/output-cursor.ts";

export type TransactionOutcome = z.infer<typeof ResultData>["transaction"];

/** The parts that all events of an execution share. */
export interface FrameContext {
  readonly executionId: ExecutionId;
  /** The id, escaped for a JSON string, without quotes. */
  readonly escapedId: string;
}

export function frameContext(executionId: ExecutionId): FrameContext {
  return { executionId, escapedId: JSON.stringify(executionId).slice(1, -1) };
}

/** The fields that only an `error` event has. */
export interface ErrorFields {
  tool_calls?: readonly EndedToolCall[];
  files?: readonly FileChange[];
  files_truncated?: boolean;
  exception_type: string;
  exception_message: string;
  traceback: string;
  execution_time: number;
  reason: ErrorReason;
  transaction: TransactionOutcome;
  state: StateAfterError;
  state_checkpoint_id?: CheckpointId;
  lost_executions?: ExecutionId[];
}

const LONG_CHARACTERS = 2048;
/** Length of an output frame without its text and its ids. */
const OUTPUT_ENVELOPE_BYTES = 192;

function open(type: string, seq: number, { escapedId }: FrameContext): string {
  // Always with a fraction, because some languages distinguish 1 from 1.0.
  const timestamp = (Date.now() / 1000).toFixed(3);
  return `{"type":"${type}","seq":${seq},"id":"${escapedId}","data":{"id":"${escapedId}.${seq}","timestamp":${timestamp},"type":"${type}","execution_id":"${escapedId}"`;
}

/** A long text is returned as bytes. As a string it would be copied once more, and would stay in the garbage-collected heap. */
export function outputFrame(seq: number, context: FrameContext, text: string, stream: StreamName): string | Buffer {
  const before = `${open("output", seq, context)},"data":`;
  const json = JSON.stringify(text);
  const behind = `,"stream":"${stream}"}}`;
  if (json.length < LONG_CHARACTERS) return before + json + behind;
  const jsonBytes = Buffer.byteLength(json);
  const frame = Buffer.allocUnsafe(Buffer.byteLength(before) + jsonBytes + behind.length);
  const at = frame.write(before);
  // If every character has one byte, Latin-1 gives the same bytes faster.
  if (jsonBytes === json.length) frame.write(json, at, "latin1");
  else frame.write(json, at);
  frame.write(behind, at + jsonBytes);
  return frame;
}

/** The length of the frame that `outputFrame` returns, or a few bytes more. */
export function outputFrameBytes({ escapedId }: FrameContext, text: string): number {
  return OUTPUT_ENVELOPE_BYTES + 3 * Buffer.byteLength(escapedId) + Buffer.byteLength(JSON.stringify(text));
}

/** The index at which to cut a text of two or more characters in half, never inside a surrogate pair. */
export function middleOf(text: string): number {
  const middle = text.length >>> 1;
  const unit = text.charCodeAt(middle);
  return unit >= 0xdc00 && unit <= 0xdfff && middle > 1 ? middle - 1 : middle;
}

/**
 * @param message its `value` is JSON text from `jsonText`, which is put into the frame unchanged.
 * @param files the fields about changed files, at least one; null if nobody asked for them.
 */
export function resultFrame(
  seq: number,
  context: FrameContext,
  message: MessageOf<"result">,
  transaction: TransactionOutcome,
  toolCalls: readonly EndedToolCall[],
  files: object | null,
): string {
  const called = toolCalls.length === 0 ? "" : `,"tool_calls":${JSON.stringify(toolCalls)}`;
  const changed = files === null ? "" : `,${JSON.stringify(files).slice(1, -1)}`;
  const mime = message.mime ? `,"mime":${JSON.stringify(message.mime)}` : "";
  return `${open("result", seq, context)},"value":${message.value},"repr":${JSON.stringify(message.repr)}${mime},"execution_time":${message.execution_time},"transaction":"${transaction}"${called}${changed}}}`;
}

export function errorFrame(seq: number, context: FrameContext, fields: ErrorFields): string {
  return dataFrame("error", seq, context, fields);
}

export function displayFrame(seq: number, context: FrameContext, message: MessageOf<"display">): string {
  const { mime, metadata, display_id, update } = message;
  return dataFrame("display", seq, context, { mime, metadata, display_id, update });
}

export function clearOutputFrame(seq: number, context: FrameContext, { wait }: MessageOf<"clear_output">): string {
  return dataFrame("clear_output", seq, context, { wait });
}

export function inputFrame(seq: number, context: FrameContext, message: MessageOf<"input">, timeout: number): string {
  const { input_id, prompt, password } = message;
  return dataFrame("input", seq, context, { input_id, prompt, password, timeout });
}

/** @param argumentsJson the arguments, as JSON text on one line. */
export function toolCallFrame(
  seq: number,
  context: FrameContext,
  { call_id, name, batch }: Pick<MessageOf<"tool_call">, "call_id" | "name" | "batch">,
  argumentsJson: string,
  timeout: number,
): string {
  const fields = JSON.stringify({ call_id, name, batch, timeout }).slice(1, -1);
  return `${open("tool_call", seq, context)},${fields},"arguments":${argumentsJson}}}`;
}

export function toolDoneFrame(seq: number, context: FrameContext, ended: EndedToolCall, duration: number): string {
  return dataFrame("tool_done", seq, context, { ...ended, duration });
}

export function truncatedFrame(seq: number, context: FrameContext, droppedBytes: number, reason: string): string {
  return dataFrame("output_truncated", seq, context, { dropped_bytes: droppedBytes, reason });
}

/** @param fields at least one of them is not undefined. */
function dataFrame(type: string, seq: number, context: FrameContext, fields: object): string {
  return `${open(type, seq, context)},${JSON.stringify(fields).slice(1)}}`;
}

/**
 * The value that Python sent, as JSON text on one line (a frame is also one line of NDJSON).
 *
 * @returns null if it is not JSON, or too expensive to parse.
 */
export function jsonText(value: string | null): string | null {
  if (value === null) return "null";
  try {
    // The length is limited already, so it can serve as the limit of the parts.
    assertCheapJson(Buffer.from(value), value.length);
    const parsed: unknown = JSON.parse(value);
    return /[\r\n]/.test(value) ? JSON.stringify(parsed) : value;
  } catch {
    return null;
  }
}
