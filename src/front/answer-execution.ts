/** Owns the HTTP answer that is one execution. */
import type { ExecutionAnswer } from "../session-calls.ts";
import type { FrontContext } from "./context.ts";

/** JSON of a small execution at once, of a large one as the caller reads it. */
export async function answerExecution(
  context: FrontContext,
  execution: ExecutionAnswer,
  status: 200 | 202 = 200,
): Promise<Response> {
  if (!(execution instanceof ReadableStream)) return context.json(execution, status);
  const headers = { "content-type": "application/json" };
  if (context.req.method !== "HEAD") return context.body(execution, status, headers);
  await execution.cancel();
  return context.body(null, status, headers);
}
