/** Owns one execution on the page: its code, its output as it comes, its prompts, and how it ended. */
import type { z } from "zod";
import type { ErrorData, ExecutionEvent, InputData, ResultData, ToolDoneData } from "../protocol/event.ts";
import { changedFilesElement } from "./changed-files.ts";
import { OutputView } from "./output-view.ts";
import { element } from "./page.ts";
import { richElement } from "./rich-output.ts";
import { TerminalText } from "./terminal-text.ts";

type Answer = (inputId: string, value: string | null) => void;

/** What `error.state` means, in words for the page. */
const STATES: Record<z.infer<typeof ErrorData>["state"], string> = {
  kept: "",
  rolled_back: "The state is as it was before.",
  recovered: "The interpreter ended; the state is as it was before.",
  restored: "The interpreter was lost; the state is the last checkpoint's.",
  fresh: "The interpreter was lost, and the state with it.",
};

/** What a tool call's `status` means for the reader. */
const TOOL_STATUS_WORDS: Record<z.infer<typeof ToolDoneData>["status"], string> = {
  ok: "answered",
  error: "answered with an error",
  timed_out: "not answered in time",
  cancelled: "cancelled",
  lost: "lost with its interpreter",
};

function seconds(time: number): string {
  return time < 1 ? `${Math.max(1, Math.round(time * 1000))} ms` : `${time.toFixed(time < 10 ? 2 : 1)} s`;
}

/** Output of a program that may colour its text, as plain text. */
function withoutEscapes(text: string): string {
  const terminal = new TerminalText();
  terminal.write(text);
  const lines = [...terminal.takeComplete(), terminal.line];
  return lines.map((line) => line.map((run) => run.text).join("")).join("\n");
}

export class ExecutionView {
  readonly root = element("li", "execution");
  readonly #code = element("pre", "code");
  readonly #output = new OutputView();
  readonly #foot = element("p", "foot");
  readonly #answer: Answer;
  readonly #displays = new Map<string, HTMLElement>();
  readonly #prompts = new Map<string, HTMLFormElement>();
  isEnded = false;
  /** A `clear_output` waits for the next output. */
  #clearsNext = false;

  constructor(code: string | null, answer: Answer) {
    this.#answer = answer;
    this.root.append(this.#code, this.#output.root, this.#foot);
    this.root.dataset.status = "running";
    this.setCode(code);
  }

  /** Shows what ran; null where that is not known (yet). */
  setCode(code: string | null): void {
    this.#code.textContent = code ?? "…";
  }

  /** The first line of the code with something in it. */
  get firstLine(): string {
    return this.#code.textContent.trimStart().split("\n", 1)[0] ?? "";
  }

  add(event: ExecutionEvent): void {
    switch (event.type) {
      case "output":
        if (this.#clearsNext) this.#clear();
        this.#output.write(event.data.stream, event.data.data);
        return;
      case "display":
        if (this.#clearsNext) this.#clear();
        this.#display(event.data.mime, event.data.display_id, event.data.update === true);
        return;
      case "clear_output":
        if (event.data.wait) this.#clearsNext = true;
        else this.#clear();
        return;
      case "input":
        this.#prompt(event.data);
        return;
      case "output_truncated":
        this.#note(`${event.data.dropped_bytes} bytes of output are left out here.`);
        return;
      case "tool_call":
        this.#note(`Calls the tool ${event.data.name} with ${JSON.stringify(event.data.arguments)}.`);
        return;
      case "tool_done":
        this.#note(`The call of ${event.data.name} ended: ${TOOL_STATUS_WORDS[event.data.status]}.`);
        return;
      case "result":
        this.#succeed(event.data);
        return;
      case "error":
        this.#fail(event.data);
        return;
      default:
        event satisfies never;
    }
  }

  /** Says that it will not run, and why. */
  refuse(reason: string): void {
    this.#end("refused");
    this.#foot.textContent = reason;
  }

  #note(text: string): void {
    this.#output.append(element("p", "note", text));
  }

  #display(mime: Readonly<Record<string, string>>, displayId: string | undefined, isUpdate: boolean): void {
    const made = richElement(mime);
    const present = displayId === undefined ? undefined : this.#displays.get(displayId);
    if (displayId !== undefined) this.#displays.set(displayId, made);
    if (isUpdate && present !== undefined) present.replaceWith(made);
    else this.#output.append(made);
  }

  #clear(): void {
    this.#clearsNext = false;
    this.#displays.clear();
    this.#output.clear();
  }

  #prompt(input: z.infer<typeof InputData>): void {
    if (this.#prompts.has(input.input_id)) return;
    const form = element("form", "prompt");
    const label = element("label", "", withoutEscapes(input.prompt));
    const field = element("input");
    field.type = input.password ? "password" : "text";
    field.autocomplete = "off";
    field.spellcheck = false;
    field.setAttribute("aria-label", input.prompt === "" ? "input" : input.prompt);
    const reply = (value: string | null) => {
      this.#answer(input.input_id, value);
      this.#closePrompt(input.input_id, value === null ? "^D" : input.password ? "•".repeat(8) : value);
    };
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      reply(field.value);
    });
    field.addEventListener("keydown", (event) => {
      if (event.key === "d" && event.ctrlKey && field.value === "") {
        event.preventDefault();
        reply(null);
      }
    });
    label.append(field);
    form.append(label);
    this.#prompts.set(input.input_id, form);
    this.#output.append(form);
    field.focus();
  }

  #closePrompt(inputId: string, shown: string): void {
    const form = this.#prompts.get(inputId);
    const prompt = form?.querySelector("label")?.firstChild?.textContent ?? "";
    form?.replaceWith(element("pre", "answered", `${prompt}${shown}`));
  }

  #succeed(result: z.infer<typeof ResultData>): void {
    if (result.mime !== undefined && Object.keys(result.mime).some((type) => type !== "text/plain")) {
      this.#output.append(richElement(result.mime));
    } else if (result.repr !== null && result.repr !== "None") {
      this.#output.append(element("pre", "value", result.repr));
    }
    this.#showChanges(result);
    this.#end("succeeded");
    const rolledBack = result.transaction === "rolled_back" ? " · rolled back" : "";
    this.#foot.textContent = `${seconds(result.execution_time)}${rolledBack}`;
  }

  #fail(error: z.infer<typeof ErrorData>): void {
    const text = error.traceback === "" ? `${error.exception_type}: ${error.exception_message}` : error.traceback;
    this.#output.append(element("pre", "traceback", withoutEscapes(text)));
    this.#showChanges(error);
    this.#end(error.reason);
    const reason = error.reason === "exception" ? "" : ` · ${error.reason.replaceAll("_", " ")}`;
    const state = STATES[error.state];
    this.#foot.textContent = `${seconds(error.execution_time)}${reason}${state === "" ? "" : ` · ${state}`}`;
  }

  #showChanges({
    files,
    files_truncated: isTruncated = false,
  }: Pick<z.infer<typeof ResultData>, "files" | "files_truncated">): void {
    const changes = changedFilesElement(files ?? [], isTruncated);
    if (changes !== null) this.#output.append(changes);
  }

  #end(status: string): void {
    this.isEnded = true;
    this.root.dataset.status = status;
    for (const id of this.#prompts.keys()) this.#closePrompt(id, "");
  }
}
