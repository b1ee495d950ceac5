/** Owns the sweeper, a shell process that outlives a killed runner for a moment and kills the processes its sandboxes left behind. */
import { spawn } from "node:child_process";
import { randomUUID } from "node:crypto";

/**
 * bubblewrap ends with its parent only once it has asked the kernel for that. A bubblewrap that is killed while it starts leaves a child
 * that waits for it for ever. Every launcher therefore has a variable that names its runner, and so has all that it forks.
 */
const VARIABLE = "PYREPL_RUNNER";
const RUNNER = `${process.pid}-${randomUUID()}`;

/** The second and third pass find what was between fork and exec in the first one. */
const SCRIPT = `
read -r line
for pause in 0 0.2 0.8; do
  sleep "$pause"
  grep -lsazF "${VARIABLE}=${RUNNER}" /proc/[0-9]*/environ | while IFS=/ read -r _ _ pid _; do
    kill -KILL "$pid" 2>/dev/null
  done
done`;

let isStarted = false;

/** Variables for a launcher, by which the sweeper finds what it leaves. Starts the sweeper at the first call. */
export function markForSweeper(): Record<string, string> {
  if (!isStarted) {
    isStarted = true;
    startSweeper();
  }
  return { [VARIABLE]: RUNNER };
}

function startSweeper(): void {
  // Its own variables must not have the mark. A group of its own: Ctrl-C in a terminal is not for it.
  const sweeper = spawn("/bin/sh", ["-c", SCRIPT], {
    cwd: "/",
    env: { PATH: "/usr/local/bin:/usr/bin:/bin" },
    stdio: ["pipe", "ignore", "ignore"],
    detached: true,
  });
  // The kernel closes the pipe when the runner ends, however it ends.
  sweeper.stdin.on("error", () => undefined);
  sweeper.on("error", () => undefined);
  sweeper.unref();
  const { stdin } = sweeper as unknown as { stdin: { unref(): void } };
  stdin.unref();
  // An orderly end has ended the sandboxes itself.
  process.once("exit", () => sweeper.kill("SIGKILL"));
}
