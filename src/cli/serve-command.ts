/** Owns `pyrepl3 serve`: it runs the whole service on this machine, as `npm start` does in the repository. */
import { resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { type Command, Option } from "commander";
import { exitAtBrokenPipe } from "./broken-pipe.ts";
import { statePath } from "./state-path.ts";

const NODE_MAJOR = 24;

interface Options {
  port: string;
  host: string;
  runners: string;
  stateDir: string;
}

export function addServeCommand(program: Command): void {
  const command = program
    .command("serve")
    .description("run the service on this machine; every other setting is a variable of the environment")
    .addOption(new Option("--port <port>", "TCP port; 0 is any free one").env("PORT").default("8787"))
    .addOption(new Option("--host <address>", "IP address to listen on").env("EDGE_HOST").default("127.0.0.1"))
    .addOption(new Option("--runners <number>", "how many runners to start").env("RUNNERS").default("1"))
    .addOption(
      new Option("--state-dir <folder>", "where sessions, checkpoints and secrets are kept")
        .env("STATE_DIR")
        .default(statePath("service")),
    );
  command.action(async ({ port, host, runners, stateDir }: Options) => {
    const { node } = process.versions;
    if (Number.parseInt(node, 10) < NODE_MAJOR) {
      command.error(
        `error: the service runs on Node ${NODE_MAJOR}, and this is Node ${node}: npx pyrepl3 brings it along`,
      );
    }
    endWithNpx();
    // Without a reader of its lines the service goes on until the sessions are stored.
    for (const stream of [process.stdout, process.stderr]) stream.off("error", exitAtBrokenPipe);
    const { runService } = await import("../local/run-service.ts");
    const settings = { PORT: port, EDGE_HOST: host, RUNNERS: runners, STATE_DIR: resolve(stateDir) };
    process.exit(await runService({ ...process.env, ...settings }));
  });
}

/**
 * npx passes signals on to a shell, which ends of them and leaves its child behind. So the program replaces itself by one that gets
 * SIGTERM when the shell has ended. Does nothing if npx did not start it.
 */
function endWithNpx(): void {
  const { env, execPath, execArgv, argv, platform } = process;
  if (env.npm_lifecycle_event !== "npx" || env.PYREPL3_ENDS_WITH_NPX === "1" || platform !== "linux") return;
  const script = fileURLToPath(new URL("../local/with-parent.sh", import.meta.url));
  process.execve?.("/bin/sh", ["sh", script, execPath, ...execArgv, ...argv.slice(1)], {
    ...env,
    PYREPL3_ENDS_WITH_NPX: "1",
  });
}
