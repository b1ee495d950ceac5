/** Decides which sandbox sessions run in on this machine, from the operator's setting and from trials. */
import { randomUUID } from "node:crypto";
import { rm } from "node:fs/promises";
import { createServer } from "node:net";
import { join } from "node:path";
import { makeTempFolder } from "../temp-folder.ts";
import { startSandbox } from "./bubblewrap.ts";
import { explainFailure } from "./diagnosis.ts";
import { describeLandlock } from "./landlock/describe-landlock.ts";
import { startLandlocked } from "./landlock/landlocked.ts";
import { findPythonHome } from "./python-home.ts";
import { CHANNEL_SOCKET_NAME, type SandboxOptions, type StartSandbox } from "./sandbox-contract.ts";
import { startUnsandboxed } from "./unsandboxed.ts";
import type { Zygotes } from "./zygotes.ts";

export type SandboxKind = "bwrap" | "landlock" | "none";

const TRIAL_DEADLINE_MS = 20_000;

export interface SandboxDemand {
  /** `auto` takes bubblewrap, otherwise Landlock; `bwrap` and `landlock` insist; `none` asks for no isolation. */
  mode: "auto" | SandboxKind;
  /** Forks keepers from a zygote; absent or null if each keeper is to start by itself. */
  zygotes?: Zygotes | null;
  sandbox: Omit<SandboxOptions, "id" | "channelDirectory" | "workspaceDirectory">;
}

export interface SandboxChoice {
  kind: SandboxKind;
  startSandbox: StartSandbox;
  /** For the log and `GET /capabilities`. */
  detail: string;
  /** True if the operator must be told loudly: anyone who can run code here is the runner's user. */
  isWarning: boolean;
  /** Why keepers are not forked from a zygote although that was asked for, or null. */
  zygoteProblem: string | null;
  /** Why there is no better kind of sandbox, if `auto` found none; otherwise null. */
  missing: string | null;
}

/** The machine cannot isolate sessions, and nobody said that it need not. */
export class SandboxUnavailable extends Error {
  override name = "SandboxUnavailable";
}

/**
 * Tries the sandbox once, whole: the means of isolation, the configured Python, the channel.
 *
 * @throws SandboxUnavailable with the cause and its remedy; Error if the Python itself does not run.
 */
export async function chooseSandbox(demand: SandboxDemand): Promise<SandboxChoice> {
  if (demand.mode === "none") return WITHOUT_SANDBOX;
  // A Python that is not there is no question of isolation.
  await findPythonHome(demand.sandbox.python);
  if (demand.mode !== "auto") {
    return tryKind(demand.mode, demand).catch((error: unknown) => refuse(explainFailure(error), error));
  }
  try {
    return await tryKind("bwrap", demand);
  } catch (error) {
    const missing = explainFailure(error);
    const choice = await tryKind("landlock", demand).catch((second: unknown) =>
      refuse(`${missing}. Landlock does not work either: ${(second as Error).message}`, second),
    );
    return { ...choice, missing };
  }
}

const WITHOUT_SANDBOX: SandboxChoice = {
  kind: "none",
  startSandbox: startUnsandboxed,
  detail: "SANDBOX=none: user code runs with all the rights of the runner's own user",
  isWarning: true,
  zygoteProblem: null,
  missing: null,
};

const KINDS = {
  bwrap: { start: startSandbox, detail: async () => "bubblewrap, one per session" },
  landlock: { start: startLandlocked, detail: describeLandlock },
};

function refuse(cause: string, error: unknown): never {
  throw new SandboxUnavailable(
    `No session can be isolated on this machine, so the runner does not start. Cause: ${cause}. ` +
      "SANDBOX=none runs code without isolation, for code that you trust.",
    { cause: error },
  );
}

/** @throws Error if this kind of sandbox does not work here. */
async function tryKind(kind: keyof typeof KINDS, { zygotes, sandbox }: SandboxDemand): Promise<SandboxChoice> {
  const { start, detail } = KINDS[kind];
  const forking = zygotes?.into(kind) ?? null;
  const zygoteProblem = forking && (await tryZygote(forking.startForked, sandbox));
  const isForked = forking !== null && zygoteProblem === null;
  if (!isForked) await trySandbox(sandbox, start);
  const how = isForked
    ? "; interpreters are forked from a zygote"
    : zygoteProblem === null
      ? ""
      : `; each interpreter starts by itself: ${zygoteProblem}`;
  return {
    kind,
    startSandbox: isForked ? forking.startSandbox : start,
    detail: `${await detail(sandbox.python)}${how}`,
    isWarning: false,
    zygoteProblem,
    missing: null,
  };
}

/** @returns why a keeper cannot be forked into a sandbox here, or null if it can. */
async function tryZygote(startForked: StartSandbox, sandbox: SandboxDemand["sandbox"]): Promise<string | null> {
  if (sandbox.network === "on") return "a sandbox with a network starts its own interpreter";
  try {
    await trySandbox(sandbox, startForked);
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
