/** A front whose session objects are recorded fakes: the other side of SessionCalls, and nothing more. */
import { env } from "cloudflare:workers";
import type { Bindings } from "../../../src/env.ts";
import { buildApp } from "../../../src/front/app.ts";
import type { Outcome } from "../../../src/problem.ts";

export interface RecordedCall {
  /** The name that the object was found by. */
  object: string;
  method: string;
  args: unknown[];
}

type Answers = Record<string, (...args: never[]) => unknown>;

export interface TestFront {
  calls: RecordedCall[];
  fetch(path: string, init?: RequestInit): Promise<Response>;
}

export const ORIGIN = "https://edge.test";

export function ok<T>(value: T): Outcome<T> {
  return { ok: true, value };
}

/** Builds a front with `variables` over the test's own, and `answers` for the calls on session objects. */
export function testFront(variables: Record<string, unknown> = {}, answers: Answers = {}): TestFront {
  const calls: RecordedCall[] = [];
  const namespace = {
    idFromName: (name: string) => name,
    idFromString: (id: string) => {
      if (!/^[0-9a-f]{64}$/.test(id)) throw new TypeError("not an id");
      return id;
    },
    get: (object: string) =>
      new Proxy(
        {},
        {
          get:
            (_target, method: string) =>
            (...args: unknown[]) => {
              calls.push({ object, method, args });
              const answer = answers[method];
              return Promise.resolve(answer === undefined ? ok(null) : answer(...(args as never[])));
            },
        },
      ),
  };
  const bindings = { ...env, CLIENT_SESSIONS: namespace, ...variables } as unknown as Bindings;
  const app = buildApp();
  return {
    calls,
    fetch: async (path, init) => app.fetch(new Request(new URL(path, ORIGIN), init), bindings),
  };
}

/** A REST call of client `ada`. */
export function call(front: TestFront, method: string, path: string, body?: unknown, headers = {}): Promise<Response> {
  return front.fetch(path, {
    method,
    headers: { "client-id": "ada", ...headers },
    ...(body === undefined ? {} : { body: typeof body === "string" ? body : JSON.stringify(body) }),
  });
}

// biome-ignore lint/suspicious/noExplicitAny: tests look into answers freely
export async function problemOf(response: Response): Promise<any> {
  return response.json();
}
