/** Owns the folder that outlives a run: its lock, by which one program at a time uses it, and its secrets. */
import { createHash, randomBytes } from "node:crypto";
import { chmod, mkdir, readdir, readFile, realpath, stat, writeFile } from "node:fs/promises";
import { createServer, type Server } from "node:net";
import { join } from "node:path";
import { z } from "zod";
import { StartError } from "./settings.ts";

const Secrets = z.object({ RUNNER_TOKEN: z.string().min(16), CHECKPOINT_KEY: z.string().min(32) });
export type Secrets = z.infer<typeof Secrets>;

const FILE = "secrets.json";

/** Files and folders that this program makes in the state folder. */
const OWN_ENTRIES = [FILE, "v3"];
const OTHERS = 0o077;

/**
 * Creates the folder if it is missing, closes it to other users, and locks it for this process. The lock ends with the process,
 * however that ends.
 *
 * @throws StartError if another program uses it, or if other users can read it and it holds other things than this program's.
 */
export async function takeStateDir(path: string): Promise<void> {
  await mkdir(path, { recursive: true, mode: 0o700 });
  await closeToOthers(path);
  // A socket in Linux's abstract namespace is no file: nothing is left behind that a later start would trip over.
  if (process.platform !== "linux") return;
  const name = createHash("sha256")
    .update(await realpath(path))
    .digest("hex");
  // Everyone on this machine can connect to it, and a connection that stays open costs a descriptor.
  const lock = createServer((stranger) => stranger.destroy()).unref();
  try {
    await listen(lock, `\0pyrepl3-${name}`);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "EADDRINUSE") throw error;
    throw new StartError(`Another PyREPL3 uses the state in ${path}. Stop it, or set STATE_DIR to another folder.`);
  }
}

/** The folder holds every client's code, output and checkpoints. */
async function closeToOthers(path: string): Promise<void> {
  const { mode, uid } = await stat(path);
  const remedy = `Give it to this user and run chmod 700 ${path}, or set STATE_DIR to another folder.`;
  if (process.getuid !== undefined && uid !== process.getuid()) {
    throw new StartError(`The state folder ${path} belongs to another user. ${remedy}`);
  }
  if ((mode & OTHERS) === 0) return;
  const foreign = (await readdir(path)).filter((name) => !OWN_ENTRIES.includes(name));
  if (foreign.length > 0) {
    const found = `Other users can open the state folder ${path}, and it holds ${foreign[0]}, which is none of ours`;
    throw new StartError(`${found}. ${remedy}`);
  }
  await chmod(path, 0o700);
}

/** The secrets of this state: those given by the environment, else those made at the first start. */
export async function loadSecrets(stateDir: string, environment: NodeJS.ProcessEnv): Promise<Secrets> {
  const kept = await keptSecrets(join(stateDir, FILE));
  return {
    RUNNER_TOKEN: environment.RUNNER_TOKEN || kept.RUNNER_TOKEN,
    CHECKPOINT_KEY: environment.CHECKPOINT_KEY || kept.CHECKPOINT_KEY,
  };
}

async function keptSecrets(path: string): Promise<Secrets> {
  let text: string;
  try {
    text = await readFile(path, "utf8");
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "ENOENT") throw error;
    const made = { RUNNER_TOKEN: randomBytes(32).toString("hex"), CHECKPOINT_KEY: randomBytes(32).toString("hex") };
    await writeFile(path, `${JSON.stringify(made, null, 2)}\n`, { mode: 0o600 });
    return made;
  }
  await chmod(path, 0o600);
  const parsed = Secrets.safeParse(parseJson(text));
  // New ones would make every stored checkpoint unreadable, so that is the user's decision.
  if (!parsed.success) throw new StartError(`${path} is damaged. Put it back, or remove it and lose the checkpoints.`);
  return parsed.data;
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    if (error instanceof SyntaxError) return null;
    throw error;
  }
}

function listen(server: Server, path: string): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once("error", reject);
    server.listen(path, () => resolve());
  });
}
