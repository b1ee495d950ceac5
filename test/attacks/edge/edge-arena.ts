/** Owns the arena of attacks on the edge: the whole product with its default limits, and a neighbour in a process of its own. */
import { type ChildProcess, fork } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";
import { findProcesses, residentBytes } from "../../support/processes.ts";
import { type Product, startProduct } from "../../support/product.ts";

/** What the neighbour saw while an attack went on, and what the edge held. */
export interface Figures {
  answers: number;
  medianMs: number;
  p99Ms: number;
  worstMs: number;
  /** The greatest growth of the edge's resident memory. */
  grownBytes: number;
}

const LOOK_EVERY_MS = 50;

export class EdgeArena {
  readonly product: Product;
  readonly #neighbour: ChildProcess;
  readonly #workerd: number;

  private constructor(product: Product, neighbour: ChildProcess) {
    this.product = product;
    this.#neighbour = neighbour;
    this.#workerd = findProcesses(product.pid, "workerd serve")[0] ?? -1;
  }

  /** @param env settings beside the defaults. */
  static async open(env: Record<string, string> = {}): Promise<EdgeArena> {
    // An empty variable leaves the default: no limit of the product is switched off here.
    const product = await startProduct({ RATE_LIMIT_PER_SECOND: "", POOL_MIN_IDLE: "", ...env });
    const neighbour = fork(fileURLToPath(new URL("neighbour.ts", import.meta.url)), [product.socketUrl]);
    await once(neighbour, "message");
    return new EdgeArena(product, neighbour);
  }

  /** Runs an attack and gives what the neighbour saw meanwhile. @throws if the neighbour is not answered any more. */
  async during(attack: () => Promise<void>): Promise<Figures> {
    const before = residentBytes(this.#workerd);
    let grownBytes = 0;
    const look = setInterval(() => {
      grownBytes = Math.max(grownBytes, residentBytes(this.#workerd) - before);
    }, LOOK_EVERY_MS);
    this.#neighbour.send("start");
    try {
      await attack();
    } finally {
      clearInterval(look);
    }
    this.#neighbour.send("stop");
    const [waits] = (await once(this.#neighbour, "message")) as [number[]];
    const sorted = waits.sort((one, other) => one - other);
    const at = (share: number) => sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? 0;
    return { answers: waits.length, medianMs: at(0.5), p99Ms: at(0.99), worstMs: at(1), grownBytes };
  }

  async close(): Promise<void> {
    this.#neighbour.disconnect();
    await this.product.stop();
  }
}
