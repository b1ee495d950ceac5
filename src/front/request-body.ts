/** Owns how the body and query of a request are read: bounded, as JSON of any content type, and checked against a schema. */
import type { z } from "zod";
import { fieldMessage } from "../field-message.ts";
import { fieldErrors, ProblemError } from "../problem.ts";

/**
 * How much of a body that is too large is read and dropped. If the connection were closed while the client still sends, it would
 * be reset, and the client would never read the answer.
 */
const READ_OUT_BYTES = 16 * 1024 * 1024;

async function readBytes(request: Request, maxBytes: number): Promise<Uint8Array> {
  const chunks: Uint8Array[] = [];
  let size = 0;
  const declared = Number(request.headers.get("content-length") ?? 0);
  if (request.body !== null && declared <= maxBytes + READ_OUT_BYTES) {
    // Leaving the loop early cancels the stream.
    for await (const chunk of request.body) {
      size += chunk.byteLength;
      if (size <= maxBytes) chunks.push(chunk);
      else chunks.length = 0;
      if (size > maxBytes + READ_OUT_BYTES) break;
    }
  }
  if (Math.max(size, declared) > maxBytes) {
    throw new ProblemError({ code: "payload_too_large", detail: `The body has more than ${maxBytes} bytes.` });
  }
  const whole = new Uint8Array(size);
  let offset = 0;
  for (const chunk of chunks) {
    whole.set(chunk, offset);
    offset += chunk.byteLength;
  }
  return whole;
}

function parseJson(bytes: Uint8Array): unknown {
  try {
    return JSON.parse(new TextDecoder("utf-8", { fatal: true, ignoreBOM: false }).decode(bytes));
  } catch {
    throw new ProblemError({
      code: "invalid_request",
      detail: "The body is not JSON in UTF-8.",
      errors: [{ path: "", message: "must be JSON in UTF-8" }],
    });
  }
}

/**
 * A value checked against its schema.
 *
 * @param what names the value in the message: "body", "query".
 * @throws ProblemError `invalid_request` naming each wrong field.
 */
export function checked<Schema extends z.ZodType>(schema: Schema, value: unknown, what: string): z.output<Schema> {
  const parsed = schema.safeParse(value, { error: fieldMessage });
  if (parsed.success) return parsed.data;
  throw new ProblemError({
    code: "invalid_request",
    detail: `The ${what} is not valid.`,
    errors: fieldErrors(parsed.error),
  });
}

/**
 * Reads a JSON body of at most `maxBytes`. An empty body counts as `{}`, which fails if a field is required.
 *
 * @throws ProblemError `payload_too_large`, `invalid_request`.
 */
export async function readBody<Schema extends z.ZodType>(
  request: Request,
  schema: Schema,
  maxBytes: number,
): Promise<z.output<Schema>> {
  const bytes = await readBytes(request, maxBytes);
  return checked(schema, bytes.byteLength === 0 ? {} : parseJson(bytes), "body");
}

/**
 * The query checked against a schema of its known parameters.
 *
 * @throws ProblemError `invalid_request` naming each wrong parameter.
 */
export function readQuery<Schema extends z.ZodType>(request: Request, schema: Schema): z.output<Schema> {
  return checked(schema, Object.fromEntries(new URL(request.url).searchParams), "query");
}
