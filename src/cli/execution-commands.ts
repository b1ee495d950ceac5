/** Owns `pyrepl3 executions`: it lists a session's executions and shows one. */
import { type Command, InvalidArgumentError } from "commander";
import { printTable, timeText } from "./print-table.ts";
import { addSessionOptions, type SessionOptions, withClient } from "./session-options.ts";

const CODE_CHARS = 40;
const DEFAULT_LIMIT = 20;
type Options = SessionOptions & { json: boolean; limit: number };

function parseLimit(value: string): number {
  const limit = Number(value);
  if (!Number.isInteger(limit) || limit < 1) throw new InvalidArgumentError("It must be a whole number above 0.");
  return limit;
}

function firstLine(code: string): string {
  const [line = ""] = code.trimStart().split("\n");
  return line.length > CODE_CHARS ? `${line.slice(0, CODE_CHARS - 1)}…` : line;
}

export function addExecutionCommands(program: Command): void {
  const group = program.command("executions").description("list and show executions");
  addSessionOptions(group.command("list", { isDefault: true }).description("list the newest executions"))
    .option("--limit <number>", "how many", parseLimit, DEFAULT_LIMIT)
    .option("--json", "print JSON", false)
    .action((options: Options) =>
      withClient(options, async (client) => {
        const { executions } = await client.executions({ limit: options.limit });
        if (options.json) return console.log(JSON.stringify(executions));
        const rows = executions.map((one) => [
          one.execution_id,
          one.status,
          timeText(one.submitted_at),
          firstLine(one.code),
        ]);
        printTable(["EXECUTION", "STATUS", "SUBMITTED", "CODE"], rows);
      }),
    );
  addSessionOptions(group.command("show").description("print one execution as JSON"))
    .argument("<id>")
    .action((id: string, options: Options) =>
      withClient(options, async (client) => console.log(JSON.stringify(await client.execution(id), null, 2))),
    );
}
