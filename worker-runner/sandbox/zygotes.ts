/** Owns the zygotes of a runner, one for each Python with its modules, and starts sandboxes with their help. */
import { seccompFilter, startSandbox, startSkeleton } from "./bubblewrap.ts";
import { ForkedKeeper } from "./forked-keeper.ts";
import { findPythonHome } from "./python-home.ts";
import type { Sandbox, SandboxOptions, StartSandbox } from "./sandbox-contract.ts";
import { Zygote } from "./zygote.ts";

/** After a zygote could not be started: how long interpreters start by themselves. */
const RETRY_MS = 30_000;

type Kind = Pick<SandboxOptions, "python" | "preload" | "env">;

export class Zygotes {
  readonly #byKind = new Map<string, Promise<Zygote>>();
  /** Called when a zygote had to be given up; the next session starts another one. */
  readonly #onLost: (reason: string) => void;
  #isClosed = false;
  #retryAt = Number.NEGATIVE_INFINITY;

  constructor(onLost: (reason: string) => void = () => undefined) {
    this.#onLost = onLost;
  }

  /**
   * Starts a keeper by forking it from the zygote of its Python. A sandbox with a network, and one whose zygote fails, starts a
   * keeper by itself.
   *
   * @throws Error as `startSandbox`.
   */
  readonly startSandbox: StartSandbox = async (options) => {
    if (options.network === "on" || this.#isClosed || performance.now() < this.#retryAt) return startSandbox(options);
    let zygote: Zygote;
    try {
      zygote = await this.#zygoteFor(options);
    } catch (error) {
      // Sessions that come now need not wait for another failure.
      this.#retryAt = performance.now() + RETRY_MS;
      this.#onLost((error as Error).message);
      return startSandbox(options);
    }
    try {
      return await this.#fork(options, zygote);
    } catch (error) {
      if (zygote.isUsable) throw error;
      this.#onLost((error as Error).message);
      return startSandbox(options);
    }
  };

  /** As `startSandbox`, but always by a fork. @throws Error if the zygote or the way into a sandbox does not work here. */
  readonly startForked: StartSandbox = async (options) => this.#fork(options, await this.#zygoteFor(options));

  async close(): Promise<void> {
    this.#isClosed = true;
    const zygotes = [...this.#byKind.values()];
    this.#byKind.clear();
    await Promise.all(zygotes.map(async (starting) => (await starting.catch(() => null))?.close()));
  }

  async #fork(options: SandboxOptions, zygote: Zygote): Promise<Sandbox> {
    return ForkedKeeper.start(await startSkeleton(options), zygote, options.limits.memoryBytes);
  }

  /** The zygote of a kind. One that has died, or whose files have changed, is replaced. */
  async #zygoteFor(kind: Kind): Promise<Zygote> {
    const key = JSON.stringify([kind.python, kind.preload, Object.entries(kind.env).sort()]);
    const present = this.#byKind.get(key);
    if (present) {
      const zygote = await present;
      if (zygote.isUsable && !(await zygote.hasChanged())) return zygote;
      if (this.#byKind.get(key) === present) {
        this.#byKind.delete(key);
        void zygote.close();
      }
      return this.#zygoteFor(kind);
    }
    const starting = findPythonHome(kind.python).then((python) =>
      Zygote.start({ python, preload: kind.preload, env: kind.env, filter: seccompFilter() }),
    );
    this.#byKind.set(key, starting);
    // A start that failed may succeed later.
    starting.catch(() => this.#byKind.get(key) === starting && this.#byKind.delete(key));
    return starting;
  }
}
