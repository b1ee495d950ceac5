/** Owns `pyrepl3 checkpoints`: it lists, makes, restores and deletes checkpoints of a session. */
import type { Command } from "commander";
import type { Client } from "../client/client.ts";
import { printTable, timeText } from "./print-table.ts";
import { addSessionOptions, type SessionOptions, withClient } from "./session-options.ts";
import { visibleText } from "./visible-text.ts";

type Options = SessionOptions & { json: boolean };
type Saved = Awaited<ReturnType<Client["checkpoints"]>>[number];

/** Names on stderr what a checkpoint could not take, or a restore could not bring back. */
function printMissing(verb: string, entries: Saved["skipped"]): void {
  for (const { name, type, reason } of entries)
    console.error(`pyrepl3: ${verb} ${visibleText(`${name} (${type}): ${reason}`)}`);
}

export function addCheckpointCommands(program: Command): void {
  const group = program.command("checkpoints").description("list, make, restore and delete checkpoints");
  addSessionOptions(group.command("list", { isDefault: true }).description("list the session's checkpoints"))
    .option("--json", "print JSON", false)
    .action((options: Options) =>
      withClient(options, async (client) => {
        const checkpoints = await client.checkpoints();
        if (options.json) return console.log(JSON.stringify(checkpoints));
        const rows = checkpoints.map((one) => [
          one.checkpoint_id,
          one.name ?? "-",
          timeText(one.created_at),
          String(one.size),
          one.durable ? "yes" : "no",
        ]);
        printTable(["CHECKPOINT", "NAME", "CREATED", "BYTES", "DURABLE"], rows);
      }),
    );
  addSessionOptions(group.command("create").description("save the session's state, and print the checkpoint's id"))
    .argument("[name]")
    .action((name: string | undefined, options: Options) =>
      withClient(options, async (client) => {
        const made = await client.checkpoint(name);
        printMissing("did not save", made.skipped);
        console.log(made.checkpoint_id);
      }),
    );
  addSessionOptions(group.command("restore").description("go back to a checkpoint"))
    .argument("<id>")
    .action((id: string, options: Options) =>
      withClient(options, async (client) => printMissing("did not restore", (await client.restore(id)).missing)),
    );
  addSessionOptions(group.command("delete").description("delete a checkpoint"))
    .argument("<id>")
    .action((id: string, options: Options) => withClient(options, (client) => client.deleteCheckpoint(id)));
}
