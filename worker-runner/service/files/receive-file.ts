/** Owns passing the body of an HTTP request to a process that works on files: one piece at a time, at the pace of the process. */

import { withDeadline } from "../../deadline.ts";
import type { FileProcess } from "../../interpreter/file-process.ts";
import { notePassed } from "./collect-buffers.ts";

/** A sender that sends nothing for this long has gone away. */
const SENDER_SILENCE_MS = 120_000;
/** How much of a body that is refused is read and dropped. Without that the sender would be cut off and never read the answer. */
const READ_OUT_BYTES = 4 * 1024 * 1024 * 1024;

/** The pieces of a body. @throws DeadlinePassed if the sender falls silent. */
export async function* piecesOf(body: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  const source = body[Symbol.asyncIterator]();
  try {
    for (;;) {
      const next = await withDeadline(Promise.resolve(source.next()), "a piece of the body", SENDER_SILENCE_MS);
      if (next.done) return;
      yield next.value;
    }
  } finally {
    await source.return?.();
  }
}

/** Sends the body as the content of one file. Stops early if the process has something to say. */
export async function sendBody(process: FileProcess, body: AsyncIterable<Uint8Array>): Promise<void> {
  for await (const piece of body) {
    if (process.hasSpoken) return;
    await process.sendContent(piece);
    notePassed(piece.byteLength);
  }
  await process.endContent();
}

/** Reads and drops what is left of a body. */
export async function readOut(body: AsyncIterable<Uint8Array>): Promise<void> {
  let left = READ_OUT_BYTES;
  try {
    for await (const piece of piecesOf(body)) {
      left -= piece.byteLength;
      notePassed(piece.byteLength);
      if (left < 0) return;
    }
  } catch {
    // The sender is gone: nobody waits for the answer.
  }
}
