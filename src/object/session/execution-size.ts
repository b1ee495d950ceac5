/** Owns how an execution's view is cut to a size, so that neither a list nor a single answer fails for being large. */

import { byteLength } from "../../byte-length.ts";
import type { Execution } from "../../protocol/rest.ts";

/** Characters of a text that stay when everything large has to go. */
const SHORT_CHARS = 200;
const MAX_IDS_KEPT = 4;
const NOT_LATIN = /[^\0-\xff]/;

/** Bytes of the view as the JSON of an answer. */
export function jsonBytesOf(view: Execution): number {
  return byteLength(JSON.stringify(view));
}

/** Bytes of a value on its way from the object to the front: a text takes one byte a character, or two if any needs them. */
export function transferBytesOf(value: unknown): number {
  if (typeof value === "string") return value.length * (NOT_LATIN.test(value) ? 2 : 1) + 8;
  if (typeof value !== "object" || value === null) return 10;
  let bytes = 8;
  for (const [key, item] of Object.entries(value)) bytes += key.length + 8 + transferBytesOf(item);
  return bytes;
}

/** Leaves out output, the oldest first, so that the view has at most `maxBytes` as `measure` counts them; then the rest. */
export function cutToSize(view: Execution, maxBytes: number, measure: (view: Execution) => number): Execution {
  let cut = view;
  for (const step of [withoutOldOutput, withoutOutput, withoutContent]) {
    const size = measure(cut);
    if (size <= maxBytes) return cut;
    cut = step(cut, maxBytes / size);
  }
  return cut;
}

/** Keeps the newest part of the output; `share` is how much of the view may stay. */
function withoutOldOutput(view: Execution, share: number): Execution {
  const { stdout, stderr } = view;
  // Less than the share, since what else the view has takes its place too.
  const keep = Math.floor((stdout.length + stderr.length) * share * 0.5);
  const errorChars = Math.min(stderr.length, Math.floor(keep / 4));
  return {
    ...view,
    stdout: endOf(stdout, keep - errorChars),
    stderr: endOf(stderr, errorChars),
    output_truncated: true,
  };
}

function endOf(text: string, chars: number): string {
  if (chars <= 0) return "";
  const end = text.slice(-chars);
  // Never the second half of a character.
  return /^[\uDC00-\uDFFF]/.test(end) ? end.slice(1) : end;
}

function withoutOutput(view: Execution): Execution {
  return {
    ...view,
    stdout: "",
    stderr: "",
    displays: [],
    displays_truncated: view.displays_truncated || view.displays.length > 0,
    output_truncated: true,
  };
}

/** The view with every text short: the whole is still there in the execution's events. */
export function withoutContent(view: Execution): Execution {
  const { result, error, pending_input, restored, ...rest } = withoutOutput(view);
  return {
    ...rest,
    code: short(rest.code),
    result: result && {
      ...withoutLists(result),
      value: null,
      repr: result.repr === null ? null : short(result.repr),
    },
    error: error && {
      ...withoutLists(error),
      exception_message: short(error.exception_message),
      traceback: short(error.traceback),
    },
    pending_input: pending_input && { ...pending_input, prompt: short(pending_input.prompt) },
    restored: restored && {
      ...restored,
      missing: [],
      lost_executions: restored.lost_executions.slice(-MAX_IDS_KEPT),
    },
  };
}

function short(text: string): string {
  return text.slice(0, SHORT_CHARS);
}

/** An ending without the parts that can be long. */
function withoutLists<T extends NonNullable<Execution["result"] | Execution["error"]>>(ending: T): T {
  const kept = { ...ending };
  for (const name of ["mime", "files", "tool_calls", "restored", "lost_executions"]) Reflect.deleteProperty(kept, name);
  return kept;
}
