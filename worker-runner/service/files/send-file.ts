/** Owns sending a file's content as an HTTP body: one piece at a time, at the pace of the reader. */

import type { FileProcess } from "../../interpreter/file-process.ts";
import { notePassed } from "./collect-buffers.ts";

/** A reader that takes nothing for this long has gone away. */
const READER_SILENCE_MS = 120_000;

/**
 * The content that `process` sends, as a stream. It closes the process at its end.
 *
 * @param length how many bytes the process was asked for. With fewer, the stream fails, so that the reader does not take a part for the whole.
 */
export function streamContent(process: FileProcess, length: number): ReadableStream<Uint8Array> {
  let left = length;
  let patience: NodeJS.Timeout | undefined;
  const end = () => {
    clearTimeout(patience);
    process.close();
  };
  return new ReadableStream<Uint8Array>(
    {
      async pull(controller) {
        clearTimeout(patience);
        try {
          const piece = await process.nextPiece();
          if (piece !== null) {
            left -= piece.length;
            notePassed(piece.length);
            controller.enqueue(piece);
            patience = setTimeout(() => {
              end();
              controller.error(new Error("the reader did not read for too long"));
            }, READER_SILENCE_MS);
            return;
          }
          if (left !== 0) throw new Error(`${left} bytes of the file are missing`);
          end();
          controller.close();
        } catch (error) {
          end();
          controller.error(error);
        }
      },
      cancel: end,
    },
    { highWaterMark: 0 },
  );
}
