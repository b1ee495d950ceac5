/** Owns `pyrepl3 sessions`: it lists the client's sessions, resets one and ends one. */
import type { Command } from "commander";
import { printTable, timeText } from "./print-table.ts";
import { addSessionOptions, type SessionOptions, withClient } from "./session-options.ts";

type Options = SessionOptions & { json: boolean; purge: boolean };

export function addSessionCommands(program: Command): void {
  const group = program.command("sessions").description("list, reset and end sessions");
  addSessionOptions(group.command("list", { isDefault: true }).description("list the client's sessions"))
    .option("--json", "print JSON", false)
    .action((options: Options) =>
      withClient(options, async (client) => {
        const sessions = await client.sessions();
        if (options.json) return console.log(JSON.stringify(sessions));
        const rows = sessions.map((one) => [
          one.session,
          one.state,
          one.environment,
          String(one.executions),
          String(one.checkpoints),
          timeText(one.last_active_at),
        ]);
        printTable(["SESSION", "STATE", "ENVIRONMENT", "EXECUTIONS", "CHECKPOINTS", "LAST ACTIVE"], rows);
      }),
    );
  addSessionOptions(group.command("reset").description("give the session a fresh interpreter")).action(
    (options: Options) => withClient(options, (client) => client.reset()),
  );
  addSessionOptions(group.command("end").description("end the session's interpreter"))
    .option("--purge", "delete its executions and checkpoints too", false)
    .action((options: Options) => withClient(options, (client) => client.endSession({ purge: options.purge })));
}
