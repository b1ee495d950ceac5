/** Owns how an attack is run: beside a neighbour that goes on working, and with a look afterwards at what is left behind. */
import assert from "node:assert/strict";
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { availableParallelism, loadavg } from "node:os";
import { join } from "node:path";
import { findControlGroups } from "../../worker-runner/sandbox/cgroup-parents.ts";
import { childrenOf } from "../../worker-runner/sandbox/process-tree.ts";
import { Zygotes } from "../../worker-runner/sandbox/zygotes.ts";
import { Session } from "../../worker-runner/session/session.ts";
import type { SessionOptions } from "../../worker-runner/session/session-options.ts";
import type { Attack } from "./catalogue/attack.ts";
import type { Grade } from "./grade.ts";
import { type Outcome, resultOf, run } from "./outcome.ts";

/** Usually 5 ms and 100 ms. A busy machine makes answers late as well, and an attack that starves its neighbour holds it up for its whole time. */
const NEIGHBOUR_MEDIAN_MS = 1_000;
const NEIGHBOUR_WORST_MS = 10_000;
/** Between two questions to the neighbour. */
const NEIGHBOUR_PAUSE_MS = 20;

export interface Figures {
  median: number;
  worst: number;
}

/** Sessions of one test run: their files in a directory of its own, so that what is left behind can be told. */
export class Arena {
  readonly grade: Grade;
  readonly #options: SessionOptions;
  readonly #directory: string;
  readonly #zygotes = new Zygotes();
  #neighbour: Session | null = null;

  constructor(grade: Grade, options: SessionOptions = {}) {
    this.grade = grade;
    this.#options = { startSandbox: grade.start(this.#zygotes), ...options };
    this.#directory = mkdtempSync("/tmp/pyrepl3-arena-");
    process.env.TMPDIR = this.#directory;
  }

  /** A session that the caller ends. */
  start(options: SessionOptions = {}): Promise<Session> {
    return Session.start({ ...this.#options, ...options });
  }

  /** Runs one attack. @throws AssertionError where it is not contained, disturbs its neighbour or leaves anything behind. */
  async run(attack: Attack): Promise<Figures> {
    this.#neighbour ??= await this.start();
    // Sessions with a proxy are forked from a zygote of their own, which stays.
    if (attack.session?.egress !== undefined) await (await this.start(attack.session)).shutdown();
    const before = this.#traces();
    const session = await this.start(attack.session);
    const here = await this.#placesOf(session);
    const { code, contained, mayLoseState } = {
      ...attack,
      ...attack.lesser?.find(({ applies }) => applies(this.grade)),
    };
    const watch = new NeighbourWatch(this.#neighbour);
    let figures: Figures;
    try {
      await run(session, "canary = 40");
      const outcomes = [];
      for (const each of [code].flat()) outcomes.push(await run(session, here(each), attack.timeout));
      await contained(outcomes, session, here);
      await assertRight(session, mayLoseState || outcomes.some(hasLostState));
    } finally {
      await session.shutdown();
      figures = await watch.stop();
    }
    assert.deepEqual(this.#traces(), before, "something is left behind");
    return figures;
  }

  async close(): Promise<void> {
    await this.#neighbour?.shutdown();
    await this.#zygotes.close();
    rmSync(this.#directory, { recursive: true });
  }

  /** A function that names the keeper and the workspace in code as they are in a session. */
  async #placesOf(session: Session): Promise<(text: string) => string> {
    if (this.grade.kind === "bwrap") return (text) => text.replaceAll("KEEPER", "1");
    const asked = await run(session, "import os; [os.getppid(), os.getcwd()]");
    const [keeper, workspace] = resultOf(asked) as [number, string];
    return (text) => text.replaceAll("KEEPER", `${keeper}`).replaceAll("/workspace", workspace);
  }

  /** What a session may not leave: processes, files, control groups, mounts. */
  #traces() {
    const groups = findControlGroups();
    return {
      processes: childrenOf(process.pid),
      files: readdirSync(this.#directory),
      groups: [groups?.memory, groups?.cpu].flatMap((path) => (path && existsSync(path) ? sessionsIn(path) : [])),
      mounts: readFileSync("/proc/self/mountinfo", "utf8").split("\n").length,
    };
  }
}

function sessionsIn(group: string): string[] {
  return readdirSync(group, { withFileTypes: true })
    .filter((entry) => entry.isDirectory())
    .map((entry) => join(group, entry.name));
}

/** Whether the outcome itself says that the state is not the one before it. */
function hasLostState({ end }: Outcome): boolean {
  return end.data.type === "error" && ["restored", "fresh"].includes(end.data.state);
}

async function assertRight(session: Session, mayLoseState: boolean): Promise<void> {
  const sum = mayLoseState ? "globals().get('canary', 40) + 2" : "canary + 2";
  const outcome = await run(session, `print('still', 'here'); ${sum}`, 60);
  // Before it may stand what an attack's orphans wrote meanwhile.
  assert.ok(outcome.stdout.endsWith("still here\n"), JSON.stringify(outcome).slice(0, 2_000));
  assert.equal(resultOf(outcome), 42);
}

/** Asks a second session for a sum, again and again. */
class NeighbourWatch {
  readonly #latenciesMs: number[] = [];
  /** Processes that wanted a processor in the minute before, for each processor there is. */
  readonly #crowding = Math.max(1, (loadavg()[0] ?? 0) / availableParallelism());
  readonly #asking: Promise<void>;
  #isOver = false;

  constructor(neighbour: Session) {
    this.#asking = this.#ask(neighbour);
  }

  async stop(): Promise<Figures> {
    this.#isOver = true;
    await this.#asking;
    const sorted = this.#latenciesMs.sort((left, right) => left - right);
    const figures = { median: sorted[sorted.length >> 1] ?? 0, worst: sorted.at(-1) ?? 0 };
    const crowding = this.#crowding;
    assert.ok(figures.median < NEIGHBOUR_MEDIAN_MS * crowding, `the neighbour's median is ${figures.median} ms`);
    assert.ok(figures.worst < NEIGHBOUR_WORST_MS * crowding, `the neighbour once took ${figures.worst} ms`);
    return figures;
  }

  async #ask(neighbour: Session): Promise<void> {
    do {
      const startedAt = performance.now();
      assert.equal(resultOf(await run(neighbour, "21 + 21", 60)), 42);
      this.#latenciesMs.push(performance.now() - startedAt);
      await new Promise((resolve) => setTimeout(resolve, NEIGHBOUR_PAUSE_MS));
    } while (!this.#isOver);
  }
}
