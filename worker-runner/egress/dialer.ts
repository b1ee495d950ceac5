/** Owns connections to the targets that code in sessions may reach: it checks the target, resolves its name, and connects. */
import { Resolver } from "node:dns/promises";
import { connect, isIP, type Socket } from "node:net";
import type { AllowList } from "./allow-list.ts";
import { isPublicAddress } from "./public-address.ts";
import { authorityOf, type Target } from "./target.ts";

const RESOLVE_TRY_MS = 2_000;
const RESOLVE_TRIES = 2;
const CONNECT_MS = 10_000;
/** Further addresses of a name are not tried. */
const MAX_ADDRESSES = 4;

/** The outcome of a request: `limited` means that the session had too many connections, or asked for nothing that can be understood. */
export type EgressOutcome = "allowed" | "refused_name" | "refused_address" | "failed" | "limited";

export interface EgressHooks {
  ended?(outcome: EgressOutcome): void;
  /** Bytes of a connection that has ended: what the session sent, and what it received. */
  moved?(sent: number, received: number): void;
}

export interface EgressSettings {
  allow: AllowList;
  /** Finds the addresses of a name; by default DNS is asked, and the machine's own list of hosts is not. */
  resolve?: (name: string) => Promise<readonly string[]>;
  hooks?: EgressHooks;
  /** How long a connection may carry nothing. */
  idleMs?: number;
  /** How long the head of a request may take. */
  headMs?: number;
}

/** A request that is not carried out. The message is for the session, and holds the host that was asked for. */
export class EgressRefusal extends Error {
  override name = "EgressRefusal";
  readonly status: number;
  readonly outcome: EgressOutcome;

  constructor(status: number, outcome: EgressOutcome, message: string) {
    super(message);
    this.status = status;
    this.outcome = outcome;
  }
}

export class Dialer {
  readonly allow: AllowList;
  readonly hooks: EgressHooks;
  readonly idleMs: number;
  readonly headMs: number;
  readonly #resolve: (name: string) => Promise<readonly string[]>;

  constructor({ allow, resolve = resolveByDns, hooks = {}, idleMs = 300_000, headMs = 15_000 }: EgressSettings) {
    this.allow = allow;
    this.hooks = hooks;
    this.idleMs = idleMs;
    this.headMs = headMs;
    this.#resolve = resolve;
  }

  /**
   * Connects to an allowed target. A name is resolved once, and the connection goes to an address that was found to be public.
   *
   * @throws EgressRefusal
   */
  async dial(target: Target, signal: AbortSignal): Promise<Socket> {
    const shown = authorityOf(target);
    const permission = this.allow.permits(target.host, target.port);
    if (permission === null) throw new EgressRefusal(403, "refused_name", `EGRESS_ALLOW does not allow ${shown}`);
    const addresses = permission === "address" ? [target.host] : await this.#publicAddressesOf(target, shown);
    let cause = "";
    for (const address of addresses.slice(0, MAX_ADDRESSES)) {
      signal.throwIfAborted();
      try {
        return await connectTo(address, target.port, signal);
      } catch (error) {
        cause = (error as NodeJS.ErrnoException).code ?? (error as Error).message;
      }
    }
    throw new EgressRefusal(502, "failed", `${shown} cannot be reached (${cause})`);
  }

  async #publicAddressesOf({ host }: Target, shown: string): Promise<readonly string[]> {
    let found: readonly string[];
    try {
      found = await this.#resolve(host);
    } catch (error) {
      const cause = (error as NodeJS.ErrnoException).code ?? (error as Error).message;
      throw new EgressRefusal(502, "failed", `${shown} has no address (${cause})`);
    }
    const addresses = found.filter((address) => isIP(address) !== 0 && isPublicAddress(address));
    if (addresses.length > 0) return addresses;
    throw new EgressRefusal(
      403,
      "refused_address",
      `EGRESS_ALLOW names ${shown}, but its address is not public, so it is refused`,
    );
  }
}

/** IPv4 first: a machine without IPv6 gets AAAA records as well. @throws Error if there is neither kind. */
async function resolveByDns(name: string): Promise<readonly string[]> {
  const resolver = new Resolver({ timeout: RESOLVE_TRY_MS, tries: RESOLVE_TRIES });
  const answers = await Promise.allSettled([resolver.resolve4(name), resolver.resolve6(name)]);
  const found = answers.flatMap((answer) => (answer.status === "fulfilled" ? answer.value : []));
  const [first] = answers;
  if (found.length === 0 && first.status === "rejected") throw first.reason;
  return found;
}

function connectTo(address: string, port: number, signal: AbortSignal): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const socket = connect({ host: address, port, allowHalfOpen: true, noDelay: true });
    // An error ends the connection, and its end tells the user of it.
    socket.on("error", () => socket.destroy());
    const late = setTimeout(() => socket.destroy(new Error("no answer in time")), CONNECT_MS);
    const give = () => socket.destroy(new Error("given up"));
    signal.addEventListener("abort", give, { once: true });
    const leave = () => {
      clearTimeout(late);
      signal.removeEventListener("abort", give);
      socket.off("error", fail);
    };
    const fail = (error: Error) => {
      leave();
      reject(error);
    };
    socket.once("error", fail);
    socket.once("connect", () => {
      leave();
      resolve(socket);
    });
  });
}
