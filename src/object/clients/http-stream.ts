/** Owns the HTTP stream of one execution's events: SSE or NDJSON, first replayed, then live, at the reader's pace. */

import { sleep } from "../../deadline.ts";
import { isTerminal } from "../../protocol/event.ts";
import type { ExecutionId } from "../../protocol/identity.ts";
import type { EventStreamFormat } from "../../session-calls.ts";
import type { Journal } from "../store/journal.ts";
import { type JournalEntry, sizeOf } from "../store/journal-row.ts";
import type { Delivery, StreamConsumer } from "./delivery.ts";
import { gapFrame } from "./edge-frames.ts";

const READ_CHARS = 64 * 1024;

export interface EventStreamOptions {
  journal: Journal;
  delivery: Delivery;
  executionId: ExecutionId;
  after: number;
  /** The seqs of the execution's first and last event so far. */
  range(): { first: number | null; last: number | null };
  format: EventStreamFormat;
  /** Whether the execution has ended, so that no more events come. */
  isOver: () => boolean;
  /** Counts a piece that was read. @param isAgain it was there before the stream. @returns the milliseconds to wait before the next one. */
  pace(bytes: number, isAgain: boolean): number;
  /** The stream has ended, or its reader is gone. */
  onClosed(): void;
}

function encode(entry: JournalEntry, format: EventStreamFormat): string {
  const frame = entry.kind === "gap" ? gapFrame(entry.from, entry.to) : entry.frame;
  if (format === "ndjson") return `${frame}\n`;
  return entry.kind === "gap"
    ? `event: gap\ndata: ${frame}\n\n`
    : `id: ${entry.seq}\nevent: ${entry.type}\ndata: ${frame}\n\n`;
}

/** Opens the stream; it ends after the terminal event. A reader that stops reading slows down the runner, not the service. */
export function openEventStream(options: EventStreamOptions): ReadableStream<Uint8Array> {
  const { journal, delivery, executionId, format } = options;
  const encoder = new TextEncoder();
  // A gap before the execution's first event is not a gap of this execution.
  let after = Math.max(options.after, (options.range().first ?? journal.lastSeq + 1) - 1);
  let news = Promise.withResolvers<void>();
  const consumer: StreamConsumer = { executionId, lag: 0, wake: () => news.resolve() };
  delivery.addStream(consumer);
  const close = () => {
    delivery.removeStream(consumer);
    options.onClosed();
  };
  const askedUpTo = journal.lastSeq;
  let waitMs = 0;

  const source: UnderlyingByteSource = {
    type: "bytes",
    async pull(controller: ReadableByteStreamController) {
      for (;;) {
        if (waitMs > 0) await sleep(waitMs);
        waitMs = 0;
        const { entries: found, upTo } = journal.read(after, READ_CHARS, executionId);
        const entries = ownOf(found, options.range().last);
        const isThrough = upTo >= journal.lastSeq;
        after = upTo;
        consumer.lag = isThrough ? 0 : Math.max(0, consumer.lag - sizeOf(entries));
        const hasTerminal = entries.some((entry) => entry.kind === "event" && isTerminal(entry.type));
        if (entries.length > 0) {
          controller.enqueue(encoder.encode(entries.map((entry) => encode(entry, format)).join("")));
        }
        if (hasTerminal || (isThrough && options.isOver())) {
          close();
          controller.close();
          // A reader that brought its own buffer waits until the buffer is answered.
          controller.byobRequest?.respond(0);
          return;
        }
        if (entries.length > 0) {
          waitMs = options.pace(sizeOf(entries), upTo <= askedUpTo);
          delivery.onProgress();
          return;
        }
        await news.promise;
        news = Promise.withResolvers<void>();
      }
    },
    cancel() {
      close();
    },
  };
  return new ReadableStream(source);
}

/** Leaves out gaps after the execution's last event: they belong to other executions. */
function ownOf(entries: readonly JournalEntry[], last: number | null): readonly JournalEntry[] {
  return entries.filter((entry) => entry.kind === "event" || (last !== null && entry.from <= last));
}
