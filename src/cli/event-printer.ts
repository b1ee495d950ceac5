/** Owns how an execution's events look in a terminal: output as it is, figures, tracebacks and notes on stderr. */
import { styleText } from "node:util";
import type { RunEvent } from "../client/wire.ts";
import type { Figures } from "./figures.ts";
import { OutputWriter } from "./output-writer.ts";

type Failure = Extract<RunEvent, { type: "error" }>["data"];

export interface EventPrinterOptions {
  /** Prints the value of the last expression, as a prompt does. */
  showsValue: boolean;
  figures: Figures;
}

/** The text of something displayed; binary content is named. */
function textOf(mime: Record<string, string>): string {
  const { "text/plain": plain } = mime;
  const others = Object.keys(mime).filter((type) => type !== "text/plain");
  return plain ?? `<${others.join(", ")}>`;
}

function red(text: string): string {
  return styleText("red", text, { stream: process.stderr });
}

export class EventPrinter {
  readonly output = new OutputWriter();
  readonly #options: EventPrinterOptions;

  constructor(options: EventPrinterOptions) {
    this.#options = options;
  }

  /** Prints one event. Questions and tool calls are not printed. */
  async print(event: RunEvent): Promise<void> {
    switch (event.type) {
      case "output":
        return this.output.write(event.data.stream, event.data.data);
      case "display":
        return this.#show(event.data.mime, textOf(event.data.mime));
      case "result":
        if (this.#options.showsValue && event.data.repr !== null) {
          await this.#line("stdout", event.data.repr);
          await this.#showFigure(event.data.mime ?? {});
        }
        return;
      case "error":
        return this.#fail(event.data);
      case "output_truncated":
        return this.note(`${event.data.dropped_bytes} bytes of output are left out`);
      case "gap":
        return this.note(`events ${event.data.from} to ${event.data.to} are no longer kept`);
      case "input":
      case "tool_call":
      case "tool_done":
      case "clear_output":
        return;
      default:
        return event satisfies never;
    }
  }

  /** Prints a line of the program's own on stderr. */
  note(text: string): Promise<void> {
    return this.#line("stderr", `pyrepl3: ${text}`);
  }

  async #line(stream: "stdout" | "stderr", text: string): Promise<void> {
    if (process[stream].isTTY) await this.output.endLine(stream);
    await this.output.write(stream, `${text}\n`);
  }

  async #show(mime: Record<string, string>, text: string): Promise<void> {
    if (!(await this.#showFigure(mime))) await this.#line("stdout", text);
  }

  /** @returns false if there is no figure, or nothing to do with it. */
  async #showFigure(mime: Record<string, string>): Promise<boolean> {
    const figure = await this.#options.figures.take(mime);
    if (figure === null) return false;
    if (figure.picture !== "") {
      if (process.stdout.isTTY) await this.output.endLine("stdout");
      await this.output.write("stdout", figure.picture);
    }
    if (figure.path !== null) await this.#line("stdout", `figure saved as ${figure.path}`);
    return true;
  }

  async #fail(error: Failure): Promise<void> {
    const { traceback, exception_type: type, exception_message: message, reason, state } = error;
    if (type === "SystemExit") {
      if (message !== "" && message !== "None" && !/^-?\d+$/.test(message)) await this.#line("stderr", message);
      return;
    }
    await this.#line("stderr", red(traceback === "" ? `${type}: ${message}` : traceback.trimEnd()));
    if (reason !== "exception" && reason !== "interrupted") await this.note(`ended by ${reason}`);
    if (state === "recovered" || state === "restored" || state === "fresh") {
      await this.note(`the session's state is now ${state}`);
    }
  }
}
