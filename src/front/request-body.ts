/** Owns how a request's body and query are read: bounded, whatever its content type says, and checked against a schema. */
import type { z } from "zod";
import { fieldErrors, ProblemError } from "../problem.ts";

/**
 * Of a body that is too large so much is read all the same, and forgotten: a connection that is closed on a client which still sends
 * is reset, and the client never reads why.
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
      errors: [{ path: "", message: "is not JSON in UTF-8" }],
    });
  }
}

/**
 * A value checked against its schema.
 *
 * @param what what the value is, for the message: "body", "query".
 * @throws ProblemError `invalid_request` naming each wrong field.
 */
export function checked<Schema extends z.ZodType>(schema: Schema, value: unknown, what: string): z.output<Schema> {
  const parsed = schema.safeParse(value);
  if (parsed.success) return parsed.data;
  throw new ProblemError({
    code: "invalid_request",
    detail: `The ${what} is not valid.`,
    errors: fieldErrors(parsed.error),
  });
}

/**
 * Reads a JSON body of at most `maxBytes`. An empty body counts as `{}`, which fails where a field is required.
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
