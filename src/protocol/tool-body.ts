/** Owns the bodies of the REST calls about tools (protocol, section 13). */
import { z } from "zod";
import { SessionName } from "./identity.ts";
import { ToolDefinitions, ToolResult } from "./tool.ts";

export const ToolsBody = z.object({ tools: ToolDefinitions, session: SessionName.optional() });

export const ToolResultsBody = z.object({
  results: z.array(ToolResult).max(1000),
  /** Seconds to wait for the execution's next stop; absent: none. */
  wait: z.number().nonnegative().optional(),
});
