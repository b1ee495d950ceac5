/** Owns writing to stdout and stderr: it waits for slow readers, and remembers the text of an unfinished line. */
import { once } from "node:events";

export type StreamName = "stdout" | "stderr";

export class OutputWriter {
  #openLine = "";

  async write(stream: StreamName, text: string): Promise<void> {
    this.#note(text);
    if (!process[stream].write(text)) await once(process[stream], "drain");
  }

  /** The text since the last line end, which a prompt must not write over; from now on it counts as ended. */
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
    const whole = text.includes("\n") ? text.slice(text.lastIndexOf("\n") + 1) : this.#openLine + text;
    // A carriage return begins the line anew, as progress bars do.
    this.#openLine = whole.slice(whole.lastIndexOf("\r", whole.length - 2) + 1);
  }
}
