/** Writes text to a stream, and waits while the stream's reader is behind. */
import { once } from "node:events";

export async function writeOut(stream: NodeJS.WriteStream, text: string): Promise<void> {
  if (!stream.write(text)) await once(stream, "drain");
}
