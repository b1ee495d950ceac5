/** Owns writing to stdout and stderr: it waits for slow readers, and remembers the text of an unfinished line. */
import { once } from "node:events";

export type StreamName = "stdout" | "stderr";

/** More of an unfinished line is not remembered: no terminal shows it in one row, and a line may have 100 MB. */
const MAX_OPEN_CHARS = 4096;

export class OutputWriter {
  #openLine = "";

  async write(stream: StreamName, text: string): Promise<void> {
    this.#note(text);
    if (!process[stream].write(text)) await once(process[stream], "drain");
  }

  /** The text since the last line end, or the end of it, which a prompt must not write over; from now on it counts as ended. */
  takeOpenLine(): string {
    const text = this.#openLine;
    this.#openLine = "";
    return text;
  }

  /** Ends a line that is open. */
  async endLine(stream: StreamName): Promise<void> {
    if (this.#openLine !== "") await this.write(stream, "\n");
  }

  #note(text: string): void {
    const lineEnd = text.lastIndexOf("\n");
    const whole = (lineEnd < 0 ? this.#openLine + text : text.slice(lineEnd + 1)).slice(-MAX_OPEN_CHARS);
    // A carriage return begins the line anew, as progress bars do.
    this.#openLine = whole.slice(whole.lastIndexOf("\r", whole.length - 2) + 1);
  }
}
