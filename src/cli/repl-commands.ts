/** Owns the commands of the prompt, which begin with a percent sign. */
import type { Client } from "../client/client.ts";
import { printTable } from "./print-table.ts";

const HELP = `%checkpoint [NAME]  save the session's state
%checkpoints        list what was saved
%restore ID         go back to a checkpoint, by its id or name
%reset              begin with a fresh interpreter
%sessions           list your sessions
%who                list the names that your code has bound`;

/** Runs one command, without its percent sign, and prints what came of it. */
export async function runReplCommand(client: Client, text: string): Promise<void> {
  const [name, argument] = text.split(/\s+/, 2);
  switch (name) {
    case "help":
      return console.log(HELP);
    case "checkpoint": {
      const { checkpoint_id: id, skipped } = await client.checkpoint(argument);
      console.log(`saved as ${id}`);
      for (const entry of skipped) console.log(`without ${entry.name}: ${entry.reason}`);
      return;
    }
    case "checkpoints": {
      const saved = await client.checkpoints();
      return printTable(
        ["CHECKPOINT", "NAME"],
        saved.map((one) => [one.checkpoint_id, one.name ?? "-"]),
      );
    }
    case "restore":
      return restore(client, argument);
    case "reset":
      await client.reset();
      return console.log("a fresh interpreter");
    case "sessions": {
      const sessions = await client.sessions();
      return printTable(
        ["SESSION", "STATE"],
        sessions.map((one) => [one.session, one.state]),
      );
    }
    case "who": {
      const { variables } = await client.variables();
      return printTable(
        ["NAME", "TYPE", "VALUE"],
        variables.map((one) => [one.name, one.type, one.repr]),
      );
    }
    default:
      console.log(`%${name} is no command\n${HELP}`);
  }
}

async function restore(client: Client, wanted: string | undefined): Promise<void> {
  if (wanted === undefined) return console.log("%restore needs the id or the name of a checkpoint");
  const saved = await client.checkpoints();
  const found = saved.find((one) => one.checkpoint_id === wanted || one.name === wanted);
  const { missing } = await client.restore(found?.checkpoint_id ?? wanted);
  console.log(`restored ${found?.name ?? wanted}`);
  for (const entry of missing) console.log(`without ${entry.name}: ${entry.reason}`);
}
