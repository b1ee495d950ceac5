/** Decides whether sessions run in a sandbox on this machine, from the operator's setting and from a trial. */
import { randomUUID } from "node:crypto";
import { rm } from "node:fs/promises";
import { createServer } from "node:net";
import { join } from "node:path";
import { makeTempFolder } from "../temp-folder.ts";
import { startSandbox } from "./bubblewrap.ts";
import { explainFailure } from "./diagnosis.ts";
import { findPythonHome } from "./python-home.ts";
import { CHANNEL_SOCKET_NAME, type SandboxOptions, type StartSandbox } from "./sandbox-contract.ts";
import { startUnsandboxed } from "./unsandboxed.ts";
import type { Zygotes } from "./zygotes.ts";

const TRIAL_DEADLINE_MS = 20_000;

export interface SandboxDemand {
  /** `auto` takes bubblewrap, and in development does without where it does not work; `bwrap` insists; `none` asks for no isolation. */
  mode: "auto" | "bwrap" | "none";
  isDevelopment: boolean;
  /** Forks keepers from a zygote; absent or null if each keeper is to start by itself. */
  zygotes?: Zygotes | null;
  sandbox: Omit<SandboxOptions, "id" | "channelDirectory" | "workspaceDirectory">;
}

export interface SandboxChoice {
  kind: "bwrap" | "none";
  startSandbox: StartSandbox;
  /** For the log and `GET /capabilities`. */
  detail: string;
  /** True where the operator must be told loudly: anyone who can run code here is the runner's user. */
  isWarning: boolean;
  /** Why keepers are not forked from a zygote although that was asked for, or null. */
  zygoteProblem: string | null;
}

/** The machine cannot isolate sessions, and nobody said that it need not. */
export class SandboxUnavailable extends Error {
  override name = "SandboxUnavailable";
}

/**
 * Tries the sandbox once, whole: user namespaces, bubblewrap, the configured Python, the channel.
 *
 * @throws SandboxUnavailable with the cause and its remedy; Error where the Python itself does not run.
 */
export async function chooseSandbox(demand: SandboxDemand): Promise<SandboxChoice> {
  if (demand.mode === "none") {
    return withoutSandbox("SANDBOX=none: user code runs with all the rights of the runner's own user");
  }
  // A Python that is not there is no question of isolation.
  await findPythonHome(demand.sandbox.python);
  const zygoteProblem = await tryZygote(demand);
  if (demand.zygotes && zygoteProblem === null) {
    const detail = "bubblewrap, one per session; interpreters are forked from a zygote";
    return { kind: "bwrap", startSandbox: demand.zygotes.startSandbox, detail, isWarning: false, zygoteProblem };
  }
  try {
    await trySandbox(demand.sandbox, startSandbox);
  } catch (error) {
    const reason = explainFailure(error);
    if (demand.mode === "auto" && demand.isDevelopment) {
      return withoutSandbox(
        `No sandbox: user code runs with all the rights of the runner's own user. Cause: ${reason}`,
      );
    }
    throw new SandboxUnavailable(
      `No session can be isolated on this machine, so the runner does not start. Cause: ${reason}. ` +
        "SANDBOX=none runs code without isolation, for code that you trust.",
      { cause: error },
    );
  }
  const why = zygoteProblem === null ? "" : `; each interpreter starts by itself: ${zygoteProblem}`;
  return { kind: "bwrap", startSandbox, detail: `bubblewrap, one per session${why}`, isWarning: false, zygoteProblem };
}

function withoutSandbox(detail: string): SandboxChoice {
  return { kind: "none", startSandbox: startUnsandboxed, detail, isWarning: true, zygoteProblem: null };
}

/** @returns why a keeper cannot be forked into a sandbox here, or null if it can or should not. */
async function tryZygote({ zygotes, sandbox }: SandboxDemand): Promise<string | null> {
  if (!zygotes) return null;
  if (sandbox.network === "on") return "a sandbox with a network starts its own interpreter";
  try {
    await trySandbox(sandbox, zygotes.startForked);
    return null;
  } catch (error) {
    return (error as Error).message;
  }
}

/** Starts one sandbox and waits until its keeper knocks at the channel. */
async function trySandbox(sandbox: SandboxDemand["sandbox"], start: StartSandbox): Promise<void> {
  const channelDirectory = await makeTempFolder("trial");
  const server = createServer((connection) => connection.destroy());
  try {
    await new Promise<void>((resolve) => {
      server.listen(join(channelDirectory, CHANNEL_SOCKET_NAME), resolve);
    });
    const knock = new Promise<null>((resolve) => {
      server.once("connection", () => resolve(null));
    });
    const keeper = await start({
      ...sandbox,
      id: `trial-${randomUUID()}`,
      channelDirectory,
      workspaceDirectory: null,
    });
    let complaint = "";
    keeper.stderr.on("data", (text: Buffer) => {
      complaint += text.toString();
    });
    keeper.stdin.end("trial\n");
    const deadline = AbortSignal.timeout(TRIAL_DEADLINE_MS);
    const late = new Promise<string>((resolve) => {
      deadline.addEventListener("abort", () => resolve("Python did not start in time"), { once: true });
    });
    const ended = keeper.exited.then(({ code, signal }) => `Python ended (${signal ?? code})`);
    const failure = await Promise.race([knock, ended, late]);
    await keeper.kill();
    if (failure !== null) throw new Error(`${failure}: ${complaint.trim()}`);
  } finally {
    server.close();
    await rm(channelDirectory, { recursive: true, force: true });
  }
}
