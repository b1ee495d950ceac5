/** Owns the names by which clients, sessions, executions and checkpoints are addressed, and their patterns. */
import { z } from "zod";

/** Who calls: the `client-id` header or `client_id` query parameter. */
export const ClientId = z
  .string()
  .regex(
    /^[A-Za-z0-9][A-Za-z0-9._~-]{0,127}$/,
    "must be 1 to 128 letters, digits or . _ ~ -, and begin with a letter or digit",
  )
  .brand<"ClientId">();
export type ClientId = z.infer<typeof ClientId>;

/** One of a client's Python states. */
export const SessionName = z
  .string()
  .regex(
    /^[A-Za-z0-9][A-Za-z0-9._~-]{0,63}$/,
    "must be 1 to 64 letters, digits or . _ ~ -, and begin with a letter or digit",
  )
  .brand<"SessionName">();
export type SessionName = z.infer<typeof SessionName>;

/** The session that a call without a session name means. */
export const DEFAULT_SESSION = "default" as SessionName;

/** Half of a character cannot stand in a URL or a header, which carry UTF-8. */
export const hasWholeCharacters = (text: string) => !/\p{Surrogate}/u.test(text);
const idText = z.string().min(1).max(128).refine(hasWholeCharacters, "must not have half a character");

/** Chosen by the client for one message, or made by the server; the id of an `execute` becomes its execution id. */
export const MessageId = idText;
export type MessageId = z.infer<typeof MessageId>;

/** One run of one piece of code. */
export const ExecutionId = idText.brand<"ExecutionId">();
export type ExecutionId = z.infer<typeof ExecutionId>;

/** A saved state. Made by the edge; opaque to clients. */
export const CheckpointId = z
  .string()
  .regex(/^[A-Za-z0-9][A-Za-z0-9._~-]{0,127}$/)
  .brand<"CheckpointId">();
export type CheckpointId = z.infer<typeof CheckpointId>;

/** Position of an event in the life of one client's session: strictly increasing, never used twice. */
export const Seq = z.int().nonnegative();

/** Unix time in seconds, with a fraction. */
export const Timestamp = z.number();
