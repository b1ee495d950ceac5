/** Owns the types of what goes over the wire, as the SDK sends and receives it; types only, so that no schema ends up in a bundle. */
import type { z } from "zod";
import type { ClientMessage } from "../protocol/client-message.ts";
import type { ExecutionEvent } from "../protocol/event.ts";
import type { ServerMessage } from "../protocol/server-message.ts";
import type { ToolDefinition, ToolResult } from "../protocol/tool.ts";

/** One event of an execution, as the service sends it. */
export type WireEvent = ExecutionEvent;

/** What a loop over a run gets: its events, and word of those that are no longer kept. */
export type RunEvent = WireEvent | { type: "gap"; data: { from: number; to: number } };

/** Every message from the service. */
export type Incoming = ServerMessage;

/** Every message to the service. */
export type Outgoing = z.input<typeof ClientMessage>;

export type ToolDeclaration = z.input<typeof ToolDefinition>;
export type ToolAnswer = z.input<typeof ToolResult>;

/** The fields of an `execute`, in the message as in the body. */
export type ExecuteFields = Omit<Extract<Outgoing, { type: "execute" }>, "type" | "id"> & { id: string };

/** The execution's event that a message is, or null. */
export function eventOf(message: Incoming): WireEvent | null {
  return "seq" in message ? message : null;
}
