/** Starts a warden, by a fork of the zygote or by itself, and gives its pipes and its end. */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { createServer, type Socket } from "node:net";
import { join } from "node:path";
import type { Readable, Writable } from "node:stream";
import { KEEPER_PACKAGE, PYTHON_FLAGS, type PythonHome } from "../python-home.ts";
import type { SandboxExit } from "../sandbox-contract.ts";
import { markForSweeper } from "../sweeper.ts";
import type { WardEntry, Zygote } from "../zygote.ts";

const TERMINAL_NAME = "warden.sock";
const START_DEADLINE_MS = 10_000;
const PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

export interface WardenProcess {
  pid: number;
  /** The keeper's standard input and error. */
  stdin: Writable;
  stderr: Readable;
  /** Resolves when the warden has ended; with a signal, processes of the session may be left. */
  exited: Promise<SandboxExit>;
}

/** Starts a warden by itself: `ward.py`. */
export async function spawnWarden(entry: WardEntry, filter: Buffer, python: PythonHome): Promise<WardenProcess> {
  const child = spawn(python.executable, [...PYTHON_FLAGS, KEEPER_PACKAGE, "ward"], {
    cwd: "/",
    env: { PATH, ...markForSweeper() },
    detached: true,
    stdio: ["pipe", "ignore", "pipe", "pipe"],
  }) as ChildProcess & { stdin: Writable; stderr: Readable };
  const exited = new Promise<SandboxExit>((resolve) => {
    child.once("exit", (code, signal) => resolve({ code, signal }));
    child.once("error", () => resolve({ code: null, signal: null }));
  });
  if (child.pid === undefined) {
    const [error] = await once(child, "error");
    throw new Error(`The sandbox does not start: ${(error as Error).message}`);
  }
  child.stdin.on("error", ignoreBrokenPipe);
  const request = child.stdio[3] as Writable;
  request.on("error", ignoreBrokenPipe);
  request.end(JSON.stringify({ entry, filter: filter.toString("hex") }));
  return { pid: child.pid, stdin: child.stdin, stderr: child.stderr, exited };
}

/**
 * Forks a warden from the zygote. It connects to a socket in the session's own directory, which is the keeper's standard input and error.
 *
 * @throws Error with the step that the kernel refuses.
 */
export async function forkWarden(entry: WardEntry, zygote: Zygote, directory: string): Promise<WardenProcess> {
  const terminal = join(directory, TERMINAL_NAME);
  const server = createServer({ allowHalfOpen: true });
  const late = AbortSignal.timeout(START_DEADLINE_MS);
  const connected = once(server, "connection", { signal: late }) as Promise<[Socket]>;
  connected.catch(ignoreBrokenPipe);
  try {
    await new Promise<void>((resolve, reject) => {
      server.once("error", reject);
      server.listen(terminal, resolve);
    });
    const forked = await zygote.fork({ ...entry, terminal });
    const ended = forked.exited.then((): never => {
      throw new Error("The sandbox does not start: the warden ended at once");
    });
    ended.catch(ignoreBrokenPipe);
    const [socket] = await Promise.race([connected, ended]);
    socket.on("error", ignoreBrokenPipe);
    return { pid: forked.pid, stdin: socket, stderr: socket, exited: forked.exited };
  } finally {
    server.close();
  }
}

/** A keeper that is gone says why on standard error, or by its exit. */
function ignoreBrokenPipe(): void {
  return;
}
