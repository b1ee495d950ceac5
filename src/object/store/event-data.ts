/** Owns reading the `data` of an event in the journal: parsed once, by the schema of the protocol. */
import { z } from "zod";
import { ErrorData, ResultData } from "../../protocol/event.ts";
import type { JournalEvent } from "./journal-row.ts";

export const Ending = z.discriminatedUnion("type", [ResultData, ErrorData]);
export type Ending = z.infer<typeof Ending>;

/** @throws ZodError if the event is not of this kind. */
export function dataOf<Schema extends z.ZodType>(event: JournalEvent, schema: Schema): z.infer<Schema> {
  return schema.parse((JSON.parse(event.frame) as { data?: unknown }).data);
}
