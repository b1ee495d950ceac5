/** Owns the check of each JSON message that comes from the sandbox: its cost, its syntax, its shape. */
import type { z } from "zod";
import { ChannelViolation } from "./framing.ts";
import { assertCheapJson } from "./json-cost.ts";

/** @throws ChannelViolation if the payload is not JSON of that shape. */
export function parseMessage<Schema extends z.ZodType>(schema: Schema, payload: Buffer): z.infer<Schema> {
  assertCheapJson(payload);
  let value: unknown;
  try {
    value = JSON.parse(payload.toString("latin1"));
  } catch (cause) {
    throw new ChannelViolation("a message is not JSON", { cause });
  }
  const parsed = schema.safeParse(value);
  if (parsed.success) return parsed.data;
  const issue = parsed.error.issues[0];
  throw new ChannelViolation(`a message has the wrong shape at ${issue?.path.join(".") || "its type"}`);
}
