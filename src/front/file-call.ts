/** Owns one call on the files of a session: a route sends it to the client's object, and reads the answer. */
import type { z } from "@hono/zod-openapi";
import { DEFAULT_SESSION, type SessionName } from "../protocol/identity.ts";
import type { FileAnswer, FileCall } from "../session-calls.ts";
import type { FrontContext } from "./context.ts";
import { COMMON_PROBLEMS, INTERPRETER_PROBLEMS } from "./route.ts";
import { callSession } from "./session-stub.ts";

export const FILE_TAGS = ["Files"];
export const FILE_PROBLEMS = [...COMMON_PROBLEMS, ...INTERPRETER_PROBLEMS, "invalid_path", "queue_full"] as const;

/** The parts of a call beside its path. */
interface Sent {
  query?: Record<string, string>;
  /** Headers of the request that go along. */
  headers?: readonly string[];
  json?: unknown;
}

/** Makes the call in the session. A body that streams is sent once, so such a call is never repeated. */
export async function callFiles(
  context: FrontContext,
  session: SessionName | undefined,
  target: Pick<FileCall, "method" | "path">,
  sent: Sent,
): Promise<FileAnswer> {
  const headers: Record<string, string> = {};
  for (const name of sent.headers ?? []) {
    const value = context.req.header(name);
    if (value !== undefined) headers[name] = value;
  }
  const common = { ...target, query: new URLSearchParams(sent.query).toString(), headers };
  const isStreamed = sent.json === undefined && (target.method === "PUT" || target.method === "POST");
  const length = context.req.header("content-length");
  return callSession(
    context,
    (object, caller) => {
      const body = isStreamed ? context.req.raw.body : sent.json === undefined ? null : streamOf(sent.json);
      const known = isStreamed && length !== undefined && body !== null ? Number(length) : null;
      return object.callFiles(caller, session ?? DEFAULT_SESSION, { ...common, body, length: known });
    },
    !isStreamed,
  );
}

function streamOf(value: unknown): ReadableStream<Uint8Array> {
  return new Response(JSON.stringify(value)).body as ReadableStream<Uint8Array>;
}

/** The answer of a call that answers JSON. */
export async function jsonOf<Schema extends z.ZodType>(answer: FileAnswer, schema: Schema): Promise<z.output<Schema>> {
  return schema.parse(await new Response(answer.body).json());
}
