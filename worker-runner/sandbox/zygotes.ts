/** Owns the zygotes of a runner, one for each Python with its modules, and starts sandboxes from them. */
import { seccompFilter, startSandbox } from "./bubblewrap.ts";
import { ForkedKeeper } from "./forked-keeper.ts";
import { forkLandlocked, landlockFilter, startLandlocked } from "./landlock/landlocked.ts";
import { findPythonHome } from "./python-home.ts";
import type { Sandbox, SandboxOptions, StartSandbox } from "./sandbox-contract.ts";
import { SkeletonShelf } from "./skeleton-shelf.ts";
import { Zygote } from "./zygote.ts";

/** After a zygote could not be started: how long interpreters start by themselves. */
const RETRY_MS = 30_000;

type Kind = Pick<SandboxOptions, "python" | "preload" | "env" | "network">;

/** How one kind of sandbox gets its keepers. */
interface Way {
  name: "bwrap" | "landlock";
  /** Starts a keeper by itself. */
  startAlone: StartSandbox;
  fork(options: SandboxOptions, zygote: Zygote, shelf: SkeletonShelf): Promise<Sandbox>;
  filter(kind: Kind): Promise<Buffer> | Buffer;
}

const WAYS: Record<Way["name"], Way> = {
  bwrap: {
    name: "bwrap",
    startAlone: startSandbox,
    fork: async (options, zygote, shelf) =>
      ForkedKeeper.start(await shelf.take(options), zygote, options.limits.memoryBytes),
    // An interpreter with a network is never forked.
    filter: () => seccompFilter("off"),
  },
  landlock: { name: "landlock", startAlone: startLandlocked, fork: forkLandlocked, filter: landlockFilter },
};

export interface ForkingStart {
  /**
   * Starts a keeper by forking it from the zygote of its Python. A sandbox with a network, and one whose zygote fails, starts a
   * keeper by itself.
   *
   * @throws Error as the sandbox's own start.
   */
  startSandbox: StartSandbox;
  /** As `startSandbox`, but always by a fork. @throws Error if the zygote or the way into a sandbox does not work here. */
  startForked: StartSandbox;
}

export class Zygotes {
  readonly #byKind = new Map<string, Promise<Zygote>>();
  /** Called when a zygote had to be given up; the next session starts another one. */
  readonly #onLost: (reason: string) => void;
  readonly #shelf: SkeletonShelf;
  #isClosed = false;
  #retryAt = Number.NEGATIVE_INFINITY;

  /** @param skeletons how many of bubblewrap's sandboxes without a keeper are kept ready. */
  constructor(onLost: (reason: string) => void = () => undefined, skeletons = 0) {
    this.#onLost = onLost;
    this.#shelf = new SkeletonShelf(skeletons);
  }

  /** Starts sandboxes of one kind. */
  into(kind: Way["name"]): ForkingStart {
    const way = WAYS[kind];
    return {
      startSandbox: (options) => this.#start(options, way),
      startForked: async (options) => way.fork(options, await this.#zygoteFor(options, way), this.#shelf),
    };
  }

  /** How many sandboxes without a keeper are ready. */
  get skeletons(): number {
    return this.#shelf.count;
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    const zygotes = [...this.#byKind.values()];
    this.#byKind.clear();
    await this.#shelf.close();
    await Promise.all(zygotes.map(async (starting) => (await starting.catch(() => null))?.close()));
  }

  async #start(options: SandboxOptions, way: Way): Promise<Sandbox> {
    if (options.network === "on" || this.#isClosed || performance.now() < this.#retryAt) return way.startAlone(options);
    let zygote: Zygote;
    try {
      zygote = await this.#zygoteFor(options, way);
    } catch (error) {
      // Sessions that come now need not wait for another failure.
      this.#retryAt = performance.now() + RETRY_MS;
      this.#onLost((error as Error).message);
      return way.startAlone(options);
    }
    try {
      return await way.fork(options, zygote, this.#shelf);
    } catch (error) {
      if (zygote.isUsable) throw error;
      this.#onLost((error as Error).message);
      return way.startAlone(options);
    }
  }

  /** The zygote of a kind. One that has died, or whose files have changed, is replaced. */
  async #zygoteFor(kind: Kind, way: Way): Promise<Zygote> {
    const key = JSON.stringify([way.name, kind.python, kind.preload, kind.network, Object.entries(kind.env).sort()]);
    const present = this.#byKind.get(key);
    if (present) {
      const zygote = await present;
      if (zygote.isUsable && !(await zygote.hasChanged())) return zygote;
      if (this.#byKind.get(key) === present) {
        this.#byKind.delete(key);
        void zygote.close();
      }
      return this.#zygoteFor(kind, way);
    }
    const starting = findPythonHome(kind.python).then(async (python) =>
      Zygote.start({ python, preload: kind.preload, env: kind.env, filter: await way.filter(kind) }),
    );
    this.#byKind.set(key, starting);
    // A start that failed may succeed later.
    starting.catch(() => this.#byKind.get(key) === starting && this.#byKind.delete(key));
    return starting;
  }
}
