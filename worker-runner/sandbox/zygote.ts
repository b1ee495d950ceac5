/** Owns one zygote: a warmed Python process, from which keepers are forked into sandboxes. It learns how each of them ended. */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { stat } from "node:fs/promises";
import { createInterface } from "node:readline";
import type { Readable, Writable } from "node:stream";
import { setTimeout as delay } from "node:timers/promises";
import { z } from "zod";
import { userEnvironment } from "./bwrap-arguments.ts";
import { isRunning } from "./process-tree.ts";
import { KEEPER_PACKAGE, PYTHON_FLAGS, type PythonHome } from "./python-home.ts";
import type { SandboxExit, SandboxOptions } from "./sandbox-contract.ts";
import { signalName } from "./signal-name.ts";

const START_DEADLINE_MS = 60_000;
const FORK_DEADLINE_MS = 10_000;
/** How long the state of the zygote's files is trusted. */
const FILES_TRUSTED_MS = 2_000;
const STDERR_KEPT = 4_096;
/** How often an orphan of a zygote that died is looked for. */
const LOOK_AGAIN_MS = 50;

const Report = z.union([
  z.object({ ready: z.literal(true), files: z.array(z.string()) }),
  z.object({ failed: z.string() }),
  z.object({ id: z.int(), pid: z.int().positive() }),
  z.object({ id: z.int(), error: z.string() }),
  z.object({ entered: z.int() }),
  z.object({ exited: z.int(), code: z.int().nullable(), signal: z.int().nullable() }),
]);
type Report = z.infer<typeof Report>;

/** The sandbox of a forked keeper, and its limits: `Entry` in `sandbox_entry.py`. */
export interface Entry {
  skeleton_pid: number;
  /** The skeleton's descriptor that becomes the keeper's fd 0. */
  token_fd: number;
  group_entrances: readonly string[];
  oom_score: number;
  niceness: number;
  user: number;
  hidden: readonly string[];
  rlimits: readonly string[];
  /** Paths as the keeper sees them: the session's socket, our Python program, the working directory. */
  channel: string;
  program: string;
  workspace: string;
  /** Port and socket of the session's proxy, as `port:path`; empty if there is none. */
  egress: string;
}

/** A session without namespaces, whose warden is forked: `WardEntry` in `landlock_entry.py`. */
export interface WardEntry {
  /** The socket to take for standard input and error; empty to keep those that there are. */
  terminal: string;
  channel: string;
  group_entrances: readonly string[];
  oom_score: number;
  niceness: number;
  user: number | null;
  tmpfs: {
    point: string;
    options: string;
    folders: readonly string[];
    covers: Readonly<Record<string, string>>;
    binds: Readonly<Record<string, string>>;
    opened: Readonly<Record<string, readonly string[]>>;
  } | null;
  folder: string | null;
  max_bytes: number;
  max_files: number;
  max_processes: number;
  readable: readonly string[];
  data: readonly string[];
  devices: readonly string[];
  writable: readonly string[];
  rlimits: readonly string[];
  program: string;
  /** Modules to import, if there is no zygote that has done so. */
  preload: readonly string[];
  workspace: string;
  /** Port and socket of the session's proxy, as `port:path`; empty if there is none. */
  egress: string;
  environment: Readonly<Record<string, string>>;
}

export interface Forked {
  /** Of the keeper, or of its warden. */
  pid: number;
  /** Resolves once the process and all of its pid namespace, or all that the warden guards, are gone. The code is null if the zygote died before. */
  exited: Promise<SandboxExit>;
}

export interface ZygoteSettings extends Pick<SandboxOptions, "preload" | "env"> {
  python: PythonHome;
  /** The seccomp program. */
  filter: Buffer;
}

interface Waiting {
  id: number;
  resolve(forked: Forked): void;
  reject(error: Error): void;
}

export class Zygote {
  readonly #child: ChildProcess;
  readonly #executable: string;
  readonly #waiting: Waiting[] = [];
  readonly #alive = new Map<number, (exit: SandboxExit) => void>();
  #files = new Map<string, string>();
  #checkedAt = 0;
  #lastId = 0;
  /** Ids are counted from 1, so this is also the id of the last request that was served. */
  #served = 0;
  #stderr = "";
  #state: "starting" | "ready" | "ended" = "starting";
  #onReady: (error: Error | null) => void = () => undefined;

  /** @throws Error with the reason why the zygote cannot work. */
  static async start(settings: ZygoteSettings): Promise<Zygote> {
    const zygote = new Zygote(settings);
    const ready = new Promise<void>((resolve, reject) => {
      zygote.#onReady = (error) => (error ? reject(error) : resolve());
    });
    zygote.#send({ preload: settings.preload, filter: settings.filter.toString("hex") });
    const late = setTimeout(() => zygote.#end("the zygote did not start in time"), START_DEADLINE_MS);
    try {
      await ready;
      return zygote;
    } catch (error) {
      await zygote.close();
      throw error;
    } finally {
      clearTimeout(late);
    }
  }

  private constructor({ python, env }: ZygoteSettings) {
    this.#executable = python.executable;
    this.#child = spawn(python.executable, [...PYTHON_FLAGS, KEEPER_PACKAGE, "zygote"], {
      cwd: "/",
      env: userEnvironment(env, python),
      stdio: ["pipe", "pipe", "pipe"],
    });
    const { stdin, stdout, stderr } = this.#child as ChildProcess & {
      stdin: Writable;
      stdout: Readable;
      stderr: Readable;
    };
    stdin.on("error", () => undefined);
    stderr.on("data", (text: Buffer) => {
      this.#stderr = (this.#stderr + text.toString()).slice(-STDERR_KEPT);
    });
    createInterface(stdout).on("line", (line) => this.#take(line));
    this.#child.once("error", (error) => this.#end(error.message));
    this.#child.once("close", () => this.#end(`the zygote ended: ${this.#stderr.trim() || "it said nothing"}`));
  }

  get isUsable(): boolean {
    return this.#state === "ready";
  }

  get pid(): number {
    return this.#child.pid ?? 0;
  }

  /** Forks a keeper into the sandbox of a skeleton. @throws Error with the step that the kernel refuses. */
  fork(entry: Entry | WardEntry): Promise<Forked> {
    if (!this.isUsable) return Promise.reject(new Error("there is no zygote"));
    this.#lastId += 1;
    const id = this.#lastId;
    return new Promise<Forked>((resolve, reject) => {
      const late = setTimeout(() => this.#end("the zygote did not fork in time"), FORK_DEADLINE_MS);
      const settle =
        <T>(act: (value: T) => void) =>
        (value: T) => {
          clearTimeout(late);
          act(value);
        };
      this.#waiting.push({ id, resolve: settle(resolve), reject: settle(reject) });
      this.#send({ id, ...entry });
    });
  }

  /** Whether its interpreter, or a file that it has loaded, was changed or removed. */
  async hasChanged(): Promise<boolean> {
    if (performance.now() - this.#checkedAt < FILES_TRUSTED_MS) return false;
    this.#checkedAt = performance.now();
    const now = await fingerprintsOf([...this.#files.keys()]);
    return [...this.#files].some(([file, fingerprint]) => now.get(file) !== fingerprint);
  }

  /** Ends the zygote; the keepers that were forked from it live on. */
  async close(): Promise<void> {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null || this.#child.pid === undefined) return;
    const closed = once(this.#child, "exit");
    this.#child.stdin?.end();
    const late = setTimeout(() => this.#child.kill("SIGKILL"), 1_000);
    await closed;
    clearTimeout(late);
  }

  #send(message: object): void {
    const text = Buffer.from(JSON.stringify(message).replace(/[^\x20-\x7e]/g, escapeCharacter), "latin1");
    const size = Buffer.alloc(4);
    size.writeUInt32LE(text.length);
    this.#child.stdin?.write(Buffer.concat([size, text]));
  }

  #take(line: string): void {
    let report: Report;
    try {
      report = Report.parse(JSON.parse(line));
    } catch {
      this.#end(`the zygote said ${line.slice(0, 200)}`);
      return;
    }
    if ("ready" in report) void this.#becomeReady(report.files);
    else if ("failed" in report) this.#onReady(new Error(report.failed));
    else if ("exited" in report)
      this.#noteExit(report.exited, { code: report.code, signal: signalName(report.signal) });
    else if ("entered" in report) this.#noteEntered(report.entered);
    else this.#answer(report);
  }

  async #becomeReady(files: string[]): Promise<void> {
    this.#files = await fingerprintsOf([...files, this.#executable]);
    this.#checkedAt = performance.now();
    if (this.#state === "starting") this.#state = "ready";
    this.#onReady(null);
  }

  #answer(report: { id: number } & ({ pid: number } | { error: string })): void {
    const first = this.#waiting[0];
    if (first?.id !== report.id) return;
    this.#waiting.shift();
    if ("error" in report) {
      first.reject(new Error(report.error));
      return;
    }
    const exited = new Promise<SandboxExit>((resolve) => {
      this.#alive.set(report.pid, resolve);
    });
    first.resolve({ pid: report.pid, exited });
  }

  /** Requests are served one after the other. A process that ended with an error and without an answer died on its way. */
  #noteEntered(code: number): void {
    this.#served += 1;
    const first = this.#waiting[0];
    if (code === 0 || first === undefined || first.id > this.#served) return;
    this.#waiting.shift();
    first.reject(new Error(`the forked process ended with code ${code}`));
  }

  #noteExit(pid: number, exit: SandboxExit): void {
    this.#alive.get(pid)?.(exit);
    this.#alive.delete(pid);
  }

  #end(reason: string): void {
    if (this.#state === "ended") return;
    this.#state = "ended";
    this.#child.kill("SIGKILL");
    this.#onReady(new Error(reason));
    for (const { reject } of this.#waiting.splice(0)) reject(new Error(reason));
    for (const [pid, resolve] of this.#alive) void awaitEnd(pid).then(() => resolve({ code: null, signal: null }));
    this.#alive.clear();
  }
}

/** The parent of the process is gone, so nothing tells when the process ends. */
async function awaitEnd(pid: number): Promise<void> {
  while (isRunning(pid)) await delay(LOOK_AGAIN_MS, undefined, { ref: false });
}

async function fingerprintsOf(files: readonly string[]): Promise<Map<string, string>> {
  const entries = files.map(async (file): Promise<[string, string]> => {
    const found = await stat(file).catch(() => null);
    return [file, found ? `${found.ino} ${found.size} ${found.mtimeMs}` : "none"];
  });
  return new Map(await Promise.all(entries));
}

function escapeCharacter(character: string): string {
  return `\\u${character.charCodeAt(0).toString(16).padStart(4, "0")}`;
}
