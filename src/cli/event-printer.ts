/** Owns how an execution's events look in a terminal: output as it is, tracebacks and notes on stderr. */
import { styleText } from "node:util";
import type { RunEvent } from "../client/wire.ts";
import { writeOut } from "./write-out.ts";

/** The text of something displayed; binary content is named. */
function textOf(mime: Record<string, string>): string {
  const { "text/plain": plain } = mime;
  const others = Object.keys(mime).filter((type) => type !== "text/plain");
  return plain ?? `<${others.join(", ")}>`;
}

function red(text: string): string {
  return styleText("red", text, { stream: process.stderr });
}

/**
 * Prints one event. Questions and tool calls are not printed.
 *
 * @param showsValue prints the value of the last expression, as a prompt does.
 */
export async function printEvent(event: RunEvent, showsValue: boolean): Promise<void> {
  switch (event.type) {
    case "output":
      return writeOut(process[event.data.stream], event.data.data);
    case "display":
      return writeOut(process.stdout, `${textOf(event.data.mime)}\n`);
    case "result":
      if (showsValue && event.data.repr !== null) await writeOut(process.stdout, `${event.data.repr}\n`);
      return;
    case "error":
      return printFailure(event.data);
    case "output_truncated":
      return writeOut(process.stderr, `pyrepl3: ${event.data.dropped_bytes} bytes of output are left out\n`);
    case "gap":
      return writeOut(process.stderr, `pyrepl3: events ${event.data.from} to ${event.data.to} are no longer kept\n`);
    case "input":
    case "tool_call":
    case "tool_done":
    case "clear_output":
      return;
    default:
      return event satisfies never;
  }
}

async function printFailure(error: Extract<RunEvent, { type: "error" }>["data"]): Promise<void> {
  const { traceback, exception_type: type, exception_message: message, reason, state } = error;
  if (type === "SystemExit") {
    if (message !== "" && message !== "None" && !/^-?\d+$/.test(message))
      await writeOut(process.stderr, `${message}\n`);
    return;
  }
  const text = traceback === "" ? `${type}: ${message}` : traceback.trimEnd();
  await writeOut(process.stderr, `${red(text)}\n`);
  if (reason !== "exception" && reason !== "interrupted")
    await writeOut(process.stderr, `pyrepl3: ended by ${reason}\n`);
  if (state === "recovered" || state === "restored" || state === "fresh") {
    await writeOut(process.stderr, `pyrepl3: the session's state is now ${state}\n`);
  }
}
