/** Owns cutting an execution's view to a size, so that a long list does not fail. */

import { byteLength } from "../../byte-length.ts";
import type { Execution } from "../../protocol/rest.ts";

/** Characters of a text that stay when everything large has to go. */
const SHORT_CHARS = 200;
const MAX_IDS_KEPT = 4;

/** Bytes of the view as the JSON of an answer. */
export function jsonBytesOf(view: Execution): number {
  return byteLength(JSON.stringify(view));
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
