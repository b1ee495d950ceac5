/** Owns one execution as an answer: an object if it is small, otherwise JSON that is built while the caller reads it. */

import { sleep } from "../../deadline.ts";
import { takeTurn } from "../../pace.ts";
import { DisplayData, OutputData } from "../../protocol/event.ts";
import type { ExecutionAnswer } from "../../session-calls.ts";
import { dataOf, Ending } from "../store/event-data.ts";
import type { ExecutionRecord } from "../store/execution-record.ts";
import { bytesOf, sizeOf } from "../store/journal-row.ts";
import { DISPLAYS_MAX_BYTES, viewOf, viewWithout } from "./execution-view.ts";
import type { NamedSession } from "./named-session.ts";

const KIB = 1024;
/** A larger execution is streamed. */
const SMALL_BYTES = 256 * KIB;
const READ_CHARS = 64 * KIB;
/** Each byte is read, parsed, written and encoded. */
const PASSES = 4;

/**
 * The execution as REST shows it. Its size counts against what the client may read, before anything is read.
 *
 * @throws ProblemError `rate_limited`.
 */
export function answerOf(record: ExecutionRecord, session: NamedSession): ExecutionAnswer {
  const bytes = bytesOfExecution(record, session);
  session.context.stores.chargeRead(bytes);
  return bytes <= SMALL_BYTES ? viewOf(record, session) : streamOf(textOf(record, session));
}

/** Bytes of the execution's events, as far as they are kept. */
export function bytesOfExecution({ firstSeq, lastSeq }: ExecutionRecord, { context }: NamedSession): number {
  return firstSeq === null || lastSeq === null ? 0 : context.journal.sizeBetween(firstSeq - 1, lastSeq);
}

/** What the passes over an execution's events find. */
interface Found {
  hasErrors: boolean;
  hasDisplays: boolean;
  areDisplaysTruncated: boolean;
  isTruncated: boolean;
  ending: Ending | null;
}

type Part = "stdout" | "stderr" | "displays";

/** The JSON of an execution, piece by piece. Its events are read once for each kind of output that it has. */
async function* textOf(record: ExecutionRecord, session: NamedSession): AsyncGenerator<string> {
  const found: Found = {
    hasErrors: false,
    hasDisplays: false,
    areDisplaysTruncated: false,
    isTruncated: false,
    ending: null,
  };
  yield '{"stdout":"';
  yield* passOver(record, session, "stdout", found);
  yield '","stderr":"';
  if (found.hasErrors) yield* passOver(record, session, "stderr", found);
  yield '","displays":[';
  if (found.hasDisplays) yield* passOver(record, session, "displays", found);
  const { stdout: _stdout, stderr: _stderr, displays: _displays, ...rest } = viewWithout(record, session, found.ending);
  const { areDisplaysTruncated: displays_truncated, isTruncated: output_truncated } = found;
  yield `],${JSON.stringify({ ...rest, displays_truncated, output_truncated }).slice(1)}`;
}

async function* passOver(
  { executionId, firstSeq, lastSeq }: ExecutionRecord,
  { context: { journal } }: NamedSession,
  part: Part,
  found: Found,
): AsyncGenerator<string> {
  if (firstSeq === null || lastSeq === null) return;
  let after = firstSeq - 1;
  let displayBytes = 0;
  let separator = "";
  while (after < lastSeq) {
    const { entries, upTo } = journal.read(after, READ_CHARS, executionId, lastSeq);
    const texts: string[] = [];
    for (const entry of entries) {
      if (entry.kind === "gap") {
        found.isTruncated ||= entry.from <= lastSeq;
        continue;
      }
      switch (entry.type) {
        case "output": {
          if (part === "displays") break;
          const { stream, data } = dataOf(entry, OutputData);
          found.hasErrors ||= stream === "stderr";
          if (stream === part) texts.push(JSON.stringify(data).slice(1, -1));
          break;
        }
        case "display":
          found.hasDisplays = true;
          if (part !== "displays") break;
          displayBytes += bytesOf(entry);
          // After the first that is left out all are: a cut is clearer than a hole in the middle.
          if (displayBytes > DISPLAYS_MAX_BYTES) found.areDisplaysTruncated = true;
          else texts.push(`${separator}${JSON.stringify(dataOf(entry, DisplayData))}`);
          separator = ",";
          break;
        case "output_truncated":
          found.isTruncated = true;
          break;
        case "result":
        case "error":
          found.ending = dataOf(entry, Ending);
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
    const waitMs = takeTurn(PASSES * sizeOf(entries));
    if (texts.length > 0) yield texts.join("");
    if (waitMs > 0) await sleep(waitMs);
    if (upTo <= after) return;
    after = upTo;
  }
}

/** A stream that makes the next piece when its reader wants it, and none once the reader is gone. */
function streamOf(pieces: AsyncGenerator<string>): ReadableStream<Uint8Array> {
  const encoder = new TextEncoder();
  const source: UnderlyingByteSource = {
    type: "bytes",
    async pull(controller: ReadableByteStreamController) {
      const { done, value } = await pieces.next();
      if (!done) {
        controller.enqueue(encoder.encode(value));
        return;
      }
      controller.close();
      // A reader that brought its own buffer waits until the buffer is answered.
      controller.byobRequest?.respond(0);
    },
    async cancel() {
      await pieces.return(undefined);
    },
  };
  return new ReadableStream(source);
}
