/** Starts the runner's service on a free port with scripted sessions, and an edge that notes what it is asked. */
import { once } from "node:events";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { pino } from "pino";
import { afterEach } from "vitest";
import { parseConfig } from "../../../worker-runner/service/config.ts";
import { EnvironmentList, environmentsOf } from "../../../worker-runner/service/environments.ts";
import { Metrics } from "../../../worker-runner/service/metrics.ts";
import {
  type RunnerService,
  type ServicePool,
  startRunnerService,
} from "../../../worker-runner/service/runner-service.ts";
import { SessionError } from "../../../worker-runner/session/session-error.ts";
import { EdgeEnd } from "./edge-end.ts";
import { ScriptedSession } from "./scripted-session.ts";

export const TOKEN = "a-secret-of-sixteen-or-more";

const cleanups: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
});

/** A pool whose sessions are made by the test. */
export class ScriptedPool implements ServicePool {
  readonly sessions: ScriptedSession[] = [];
  acquireError: Error | null = null;
  /** Resolves when the next `acquire` may go on. */
  gate: Promise<void> = Promise.resolve();
  isShutDown = false;
  readonly idle = 5;
  readonly starting = 1;
  missing = 0;
  readonly isReady = true;
  readonly broken = new Map<string, string>();
  readonly capabilities = {
    version: "0.3.0",
    python: { version: "3.11.2", implementation: "CPython" },
    serializer: { name: "source" as const, version: null },
    sandbox: { kind: "none" as const, isolated: false, network: false, seccomp: false, detail: "scripted" },
    packages: { enabled: false },
    limits: {},
  };

  async acquire(): Promise<ScriptedSession> {
    await this.gate;
    if (this.acquireError !== null) throw this.acquireError;
    const session = new ScriptedSession();
    this.sessions.push(session);
    return session;
  }

  shutdown(): Promise<void> {
    this.isShutDown = true;
    return Promise.resolve();
  }

  /** The one session that there is. */
  get only(): ScriptedSession {
    const [session] = this.sessions;
    if (session === undefined) throw new SessionError("ended", "there is no session");
    return session;
  }
}

export interface Asked {
  path: string;
  authorization: string | undefined;
  body: Record<string, unknown>;
}

/** An HTTP server in the edge's place. */
export class NotingEdge {
  readonly asked: Asked[] = [];
  status = 204;
  readonly #server = createServer((request, response) => {
    const pieces: Buffer[] = [];
    request.on("data", (piece: Buffer) => pieces.push(piece));
    request.on("end", () => {
      response.writeHead(this.status).end();
      const { authorization } = request.headers;
      this.asked.push({
        path: request.url ?? "",
        authorization,
        body: JSON.parse(Buffer.concat(pieces).toString()),
      });
      this.#wake?.();
    });
  });
  #wake: (() => void) | null = null;
  url = "";

  async start(): Promise<this> {
    this.#server.listen(0, "127.0.0.1");
    await once(this.#server, "listening");
    this.url = `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
    cleanups.push(() => this.stop());
    return this;
  }

  async stop(): Promise<void> {
    if (!this.#server.listening) return;
    this.#server.close();
    this.#server.closeAllConnections();
    await once(this.#server, "close");
  }

  /** The first call not yet taken that is one of these; waits for it. */
  async next(path: string, isWanted: (body: Record<string, unknown>) => boolean = () => true): Promise<Asked> {
    for (;;) {
      const index = this.asked.findIndex((call) => call.path === path && isWanted(call.body));
      const [found] = index === -1 ? [] : this.asked.splice(index, 1);
      if (found !== undefined) return found;
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
  }
}

export interface UnderTest {
  pool: ScriptedPool;
  service: RunnerService;
  url: string;
  link(key?: string): Promise<EdgeEnd>;
  call(path: string, init?: RequestInit): Promise<Response>;
}

/** @param variables settings beside the defaults. */
export async function startService(variables: Record<string, string> = {}): Promise<UnderTest> {
  const config = parseConfig({
    RUNNER_PORT: "0",
    RUNNER_TOKEN: TOKEN,
    RUNNER_ID: "r1",
    SHUTDOWN_GRACE_SECONDS: "0",
    ...variables,
  });
  const pool = new ScriptedPool();
  const service = await startRunnerService({
    config,
    pool,
    environments: new EnvironmentList(environmentsOf(config)),
    capabilities: pool.capabilities,
    metrics: new Metrics(),
    log: pino({ level: "silent" }),
  });
  cleanups.push(() => service.stop());
  return {
    pool,
    service,
    url: service.url,
    link: (key = "k1") => EdgeEnd.connect(service.url, key, TOKEN),
    call: (path, init) =>
      fetch(new URL(path, service.url), { ...init, headers: { authorization: `Bearer ${TOKEN}`, ...init?.headers } }),
  };
}
