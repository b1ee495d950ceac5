/** Owns reading the body and query of a request. The body is bounded, parsed as JSON whatever its content type, and checked by a schema. */
import type { z } from "zod";
import { sleep } from "../deadline.ts";
import { fieldMessage } from "../field-message.ts";
import { MAX_JSON_LEVELS, MAX_JSON_PARTS, MEASURED_ABOVE_CHARS, measureJson } from "../json-parts.ts";
import { queueTurn } from "../pace.ts";
import { fieldErrors, ProblemError } from "../problem.ts";
import { SMALL_BODY_BYTES, takeBody } from "./body-budget.ts";

/**
 * How much of a body that is too large is read and dropped. If the connection were closed while the client still sends, it would
 * be reset, and the client would never read the answer.
 */
const READ_OUT_BYTES = 16 * 1024 * 1024;

/** Each byte is decoded, parsed, checked and sent on. */
const PASSES = 4;
/** What a value costs beside its bytes. */
const BYTES_PER_PART = 256;
/** A large body that would wait longer is refused. */
const MAX_WAIT_MS = 2000;

async function readBytes(request: Request, maxBytes: number): Promise<Uint8Array> {
  const chunks: Uint8Array[] = [];
  let size = 0;
  const declared = Number(request.headers.get("content-length") ?? 0);
  const retryAfter = takeBody(request, declared);
  if (request.body !== null && declared > 0 && declared <= maxBytes + READ_OUT_BYTES) {
    // In one piece, which costs far less than chunk by chunk.
    const whole = new Uint8Array(await request.arrayBuffer());
    if (retryAfter > 0) throw tooMany(retryAfter);
    if (whole.byteLength <= maxBytes) return whole;
  } else if (request.body !== null && declared <= maxBytes + READ_OUT_BYTES) {
    // Chunks can be small, so their bytes are counted together. Leaving the loop early cancels the stream.
    let uncounted = 0;
    for await (const chunk of request.body) {
      size += chunk.byteLength;
      if (size <= maxBytes) chunks.push(chunk);
      else chunks.length = 0;
      if (size > maxBytes + READ_OUT_BYTES) break;
      uncounted += chunk.byteLength;
      if (uncounted < SMALL_BODY_BYTES) continue;
      if (takeBody(request, uncounted) > 0) throw tooMany(1);
      uncounted = 0;
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

/**
 * Refuses a body of too many values or levels, and waits for the turn of a large one, which has a cost by its size and its number of
 * values. @throws ProblemError.
 */
async function takeTurnFor(text: string): Promise<void> {
  if (text.length < MEASURED_ABOVE_CHARS) return;
  const { parts, levels } = measureJson(text);
  if (parts > MAX_JSON_PARTS) {
    throw new ProblemError({ code: "payload_too_large", detail: `The body has more than ${MAX_JSON_PARTS} values.` });
  }
  if (levels > MAX_JSON_LEVELS) {
    const detail = `The body has more than ${MAX_JSON_LEVELS} levels.`;
    const message = `must have at most ${MAX_JSON_LEVELS} levels`;
    throw new ProblemError({ code: "invalid_request", detail, errors: [{ path: "", message }] });
  }
  if (text.length < SMALL_BODY_BYTES) return;
  const waitMs = queueTurn(PASSES * text.length + parts * BYTES_PER_PART, MAX_WAIT_MS);
  if (waitMs === null) {
    throw tooMany(MAX_WAIT_MS / 1000);
  }
  if (waitMs > 0) await sleep(waitMs);
}

async function parseJson(bytes: Uint8Array): Promise<unknown> {
  let text: string;
  try {
    text = new TextDecoder("utf-8", { fatal: true, ignoreBOM: false }).decode(bytes);
  } catch {
    throw notJson();
  }
  await takeTurnFor(text);
  try {
    return JSON.parse(text);
  } catch {
    throw notJson();
  }
}

function tooMany(retryAfter: number): ProblemError {
  return new ProblemError({ code: "rate_limited", detail: "Too many large bodies at a time.", retryAfter });
}

function notJson(): ProblemError {
  return new ProblemError({
    code: "invalid_request",
    detail: "The body is not JSON in UTF-8.",
    errors: [{ path: "", message: "must be JSON in UTF-8" }],
  });
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
  return checked(schema, bytes.byteLength === 0 ? {} : await parseJson(bytes), "body");
}

/**
 * The query checked against a schema of its known parameters.
 *
 * @throws ProblemError `invalid_request` naming each wrong parameter.
 */
export function readQuery<Schema extends z.ZodType>(request: Request, schema: Schema): z.output<Schema> {
  return checked(schema, Object.fromEntries(new URL(request.url).searchParams), "query");
}
