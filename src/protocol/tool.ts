/** Owns tools, which code calls and the client answers (protocol, section 13): definitions, answers and the outcomes of calls. */
import { z } from "zod";
import { ArgumentsSchema, JsonSchema } from "./json-schema.ts";

export const MAX_TOOLS = 128;
const DEFAULT_TIMEOUT_SECONDS = 240;

const KEYWORDS: ReadonlySet<string> = new Set(
  (
    "False None True and as assert async await break class continue def del elif else except finally for from global if " +
    "import in is lambda nonlocal not or pass raise return try while with yield"
  ).split(" "),
);
/** What the module `tools` itself is made of. */
const MODULE_NAMES: ReadonlySet<string> = new Set([
  "aio",
  "describe",
  "list",
  "ToolCancelled",
  "ToolError",
  "ToolTimeout",
]);

/** The Python identifier of a tool's name. */
export function pythonNameOf(name: string): string {
  const identifier = name.replaceAll(/[-. ]/g, "_");
  const isTaken = KEYWORDS.has(identifier) || MODULE_NAMES.has(identifier) || identifier.startsWith("__");
  return isTaken ? `${identifier}_tool` : identifier;
}

export const ToolName = z
  .string()
  .regex(
    /^[A-Za-z_][A-Za-z0-9_.-]{0,63}$/,
    "must be 1 to 64 letters, digits or _ . -, and begin with a letter or underscore",
  );

export const ToolDefinition = z.object({
  name: ToolName,
  description: z.string().optional(),
  input_schema: ArgumentsSchema.optional(),
  output_schema: JsonSchema.optional(),
  /** Seconds until a call of it that nothing answers raises `ToolTimeout`. */
  timeout: z.number().positive().default(DEFAULT_TIMEOUT_SECONDS),
  /** Binds the bare name in the session's namespace. */
  inject: z.boolean().default(false),
});
export type ToolDefinition = z.infer<typeof ToolDefinition>;

/** At most 128 tools, and no two that Python would call by the same name. */
export const ToolDefinitions = z
  .array(ToolDefinition)
  .max(MAX_TOOLS, `must be at most ${MAX_TOOLS} tools`)
  .superRefine((tools, context) => {
    const firstByName = new Map<string, string>();
    for (const [index, { name }] of tools.entries()) {
      const identifier = pythonNameOf(name);
      const first = firstByName.get(identifier);
      if (first !== undefined) {
        const message = `has the Python name ${identifier}, as ${first} has`;
        context.addIssue({ code: "custom", path: [index, "name"], message });
      }
      firstByName.set(identifier, name);
    }
  });

/** A tool as edge, runner and Python pass it on: checked before, and with its Python name. */
export const OfferedTool = z.object({
  name: z.string().min(1).max(64),
  python_name: z.string().min(1).max(80),
  description: z.string().optional(),
  input_schema: z.record(z.string(), z.unknown()).optional(),
  output_schema: z.record(z.string(), z.unknown()).optional(),
  timeout: z.number().positive(),
  inject: z.boolean(),
});
export type OfferedTool = z.infer<typeof OfferedTool>;

/** Adds the Python name. */
export function offeredTool(tool: ToolDefinition): OfferedTool {
  return { ...tool, python_name: pythonNameOf(tool.name) };
}

/** The tools of an execution, and how often it may call them. */
export const ToolOptions = z.object({
  /** For this execution only, beside the session's; of two with the same Python name this one counts. */
  tools: ToolDefinitions.optional(),
  /** Absent: 1,000. */
  max_tool_calls: z.int().nonnegative().optional(),
  /** Absent: 16. */
  max_parallel_tool_calls: z.int().positive().optional(),
});

/** What a request says about tools. */
export function toolOptionsOf({
  tools,
  max_tool_calls,
  max_parallel_tool_calls,
}: z.output<typeof ToolOptions>): z.output<typeof ToolOptions> {
  return { tools, max_tool_calls, max_parallel_tool_calls };
}

/** How Python names a tool. */
export const ToolBinding = z.object({ name: z.string(), python_name: z.string() });
export type ToolBinding = z.infer<typeof ToolBinding>;

/** The session's tools: `data` of `tools`, and the answer of `GET` and `PUT /api/v1/session/tools`. */
export const ToolBindings = z.object({ tools: z.array(ToolBinding) });
export type ToolBindings = z.infer<typeof ToolBindings>;

export const CallId = z.string().min(1).max(128);

export const ToolFailure = z.object({
  type: z.string().optional(),
  message: z.string(),
  data: z.unknown().optional(),
});
export type ToolFailure = z.infer<typeof ToolFailure>;

const answer = { call_id: CallId, value: z.unknown().optional(), error: ToolFailure.optional() };
const hasOneAnswer = (result: { value?: unknown; error?: unknown }) =>
  (result.value === undefined) !== (result.error === undefined);
const ONE_ANSWER = { path: ["value"], message: "must be given, or error, but not both" };

/** The answer to one call. */
export const ToolResult = z.object(answer).refine(hasOneAnswer, ONE_ANSWER);
export type ToolResult = z.infer<typeof ToolResult>;

export const ToolResultMessage = z
  .object({ type: z.literal("tool_result"), id: z.string().min(1).max(128).optional(), ...answer })
  .refine(hasOneAnswer, ONE_ANSWER);

/** The outcome of a call. */
export const ToolStatus = z.enum(["ok", "error", "timed_out", "cancelled", "lost"]);
export type ToolStatus = z.infer<typeof ToolStatus>;

/** A call that an execution made; told with its ending, since what a tool did is not rolled back. */
export const EndedToolCall = z.object({ name: z.string(), call_id: CallId, status: ToolStatus });
export type EndedToolCall = z.infer<typeof EndedToolCall>;
