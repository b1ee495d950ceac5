/** Owns the prompt's own commands, which begin with a percent sign. Other lines with a percent sign go to the service. */
import type { Client } from "../client/client.ts";
import { printTable } from "./print-table.ts";

/** What a command may do beside calling the service. */
export interface PromptSession {
  readonly client: Client;
  /** Goes on in another session of the same client. */
  moveTo(session: string): void;
}

interface ReplCommand {
  /** What stands behind the name. */
  takes?: string;
  does: string;
  /** @param argument empty if there is none. */
  run(prompt: PromptSession, argument: string): Promise<void>;
}

const COMMANDS: Record<string, ReplCommand> = {
  checkpoint: { takes: "[NAME]", does: "save the session's state", run: saveCheckpoint },
  checkpoints: { does: "list what was saved", run: listCheckpoints },
  restore: { takes: "ID", does: "go back to a checkpoint, by its id or name", run: restore },
  undo: { takes: "[EXECUTION]", does: "go back to the state before the last execution, or before that one", run: undo },
  branch: { takes: "NAME", does: "make a session with this state", run: branch },
  sessions: { does: "list your sessions", run: listSessions },
  session: { takes: "NAME", does: "go on in another session, which is made if it is new", run: changeSession },
  reset: { does: "begin with a fresh interpreter", run: reset },
  who: { does: "list the names that your code has bound", run: listNames },
  help: { does: "print this list", run: async () => console.log(HELP) },
};

const usage = (name: string) => `%${name} ${COMMANDS[name]?.takes ?? ""}`.trimEnd();
const width = Math.max(...Object.keys(COMMANDS).map((name) => usage(name).length));
const HELP = [
  ...Object.entries(COMMANDS).map(([name, { does }]) => `${usage(name).padEnd(width)}  ${does}`),
  "Tab completes, Ctrl-C interrupts the code, Ctrl-D or exit() leaves; the session goes on.",
].join("\n");

/** The commands that begin with a text, percent sign included. */
export function completeReplCommand(text: string): string[] {
  return Object.keys(COMMANDS)
    .map((name) => `%${name}`)
    .filter((name) => name.startsWith(text));
}

/** The command of a line, bound to its argument; null if the line is none. */
export function findReplCommand(line: string): ((prompt: PromptSession) => Promise<void>) | null {
  const [, name = "", argument = ""] = /^%(\w+)(?:\s+(.*?))?\s*$/.exec(line) ?? [];
  const command = Object.hasOwn(COMMANDS, name) ? COMMANDS[name] : undefined;
  if (command === undefined) return null;
  return async (prompt) => {
    if (argument === "" && command.takes !== undefined && !command.takes.startsWith("[")) {
      console.log(`usage: ${usage(name)}`);
    } else await command.run(prompt, argument);
  };
}

const printMissing = (entries: readonly { name: string; reason: string }[]) => {
  for (const { name, reason } of entries) console.log(`without ${name}: ${reason}`);
};

async function saveCheckpoint({ client }: PromptSession, name: string): Promise<void> {
  const { checkpoint_id: id, skipped } = await client.checkpoint(name === "" ? undefined : name);
  console.log(`saved as ${id}`);
  printMissing(skipped);
}

async function listCheckpoints({ client }: PromptSession): Promise<void> {
  const saved = await client.checkpoints();
  printTable(
    ["CHECKPOINT", "NAME"],
    saved.map((one) => [one.checkpoint_id, one.name ?? "-"]),
  );
}

async function restore({ client }: PromptSession, wanted: string): Promise<void> {
  const saved = await client.checkpoints();
  const found = saved.find((one) => one.checkpoint_id === wanted || one.name === wanted);
  const { missing } = await client.restore(found?.checkpoint_id ?? wanted);
  console.log(`restored ${found?.name ?? wanted}`);
  printMissing(missing);
}

async function undo({ client }: PromptSession, wanted: string): Promise<void> {
  const { execution_id: id } = await client.undo(wanted === "" ? undefined : wanted);
  const [line = ""] = (await client.execution(id)).code.trim().split("\n");
  console.log(`undone: ${line}`);
}

async function branch({ client }: PromptSession, name: string): Promise<void> {
  const { missing } = await client.branch(name);
  console.log(`made the session ${name}; %session ${name} goes on there`);
  printMissing(missing);
}

async function listSessions({ client }: PromptSession): Promise<void> {
  const sessions = await client.sessions();
  printTable(
    ["SESSION", "STATE", ""],
    sessions.map((one) => [one.session, one.state, one.session === client.session ? "(this one)" : ""]),
  );
}

async function changeSession(prompt: PromptSession, name: string): Promise<void> {
  prompt.moveTo(name);
  console.log(`now in the session ${name}`);
}

async function reset({ client }: PromptSession): Promise<void> {
  await client.reset();
  console.log("a fresh interpreter");
}

async function listNames({ client }: PromptSession): Promise<void> {
  const { variables } = await client.variables();
  printTable(
    ["NAME", "TYPE", "VALUE"],
    variables.map((one) => [one.name, one.type, one.repr]),
  );
}
