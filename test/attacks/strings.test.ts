/**
 * Owns the proof that no string of the API ends in an error of the service: every string that a call or a message takes, found in the
 * contract's own description, is sent with half a character, NUL and a mebibyte.
 */
// @module-tag bubblewrap
import { afterAll, beforeAll, expect, it } from "vitest";
import { z } from "zod";
import { ClientMessage } from "../../src/protocol/client-message.ts";
import { type Product, startProduct } from "../support/product.ts";
import { SocketClient } from "../support/socket-client.ts";

const HOSTILE: Record<string, string> = {
  "half a character": "a\ud800b",
  NUL: "a\0b",
  "a mebibyte": "x".repeat(1 << 20),
  "nothing at all": "",
};

/** A longer path is refused by workerd itself. */
const MAX_PATH_CHARACTERS = 100_000;

type Json = null | boolean | number | string | Json[] | { [key: string]: Json };

let product: Product;
beforeAll(async () => {
  product = await startProduct({ MAX_SESSIONS_PER_CLIENT: "50" });
});
afterAll(() => product?.stop());

/** The value once for each string in it, with that string replaced, and the path of the string. */
function* withEachString(value: Json, hostile: string, path = ""): Generator<[string, Json]> {
  if (typeof value === "string") {
    yield [path, hostile];
  } else if (Array.isArray(value)) {
    for (const [index, item] of value.entries()) {
      for (const [at, changed] of withEachString(item, hostile, `${path}.${index}`)) {
        yield [at, value.with(index, changed)];
      }
    }
  } else if (value !== null && typeof value === "object") {
    for (const [key, item] of Object.entries(value)) {
      for (const [at, changed] of withEachString(item, hostile, `${path}.${key}`)) {
        yield [at, { ...value, [key]: changed }];
      }
      // A key of an object is a string as well.
      if (path !== "") yield [`${path} (key)`, { ...value, [hostile]: item }];
    }
  }
}

/** How a URL carries a text; half a character as the three bytes that no UTF-8 has. */
function encoded(text: string): string {
  return encodeURIComponent(text.replaceAll("\ud800", "\ue000")).replaceAll("%EE%80%80", "%ED%A0%80");
}

type Schema = { [key: string]: Json };

/** A valid value of a JSON schema, with all its fields. `named` has the schemas that others name. */
function sample(schema: Schema, named: Record<string, Schema> = {}): Json {
  const reference = schema.$ref;
  if (typeof reference === "string") return sample(named[reference.split("/").at(-1) ?? ""] ?? {}, named);
  if (schema.const !== undefined) return schema.const;
  if (Array.isArray(schema.enum)) return schema.enum[0] ?? null;
  if (Array.isArray(schema.anyOf)) return sample(schema.anyOf[0] as Schema, named);
  switch (Array.isArray(schema.type) ? schema.type[0] : schema.type) {
    case "object":
      return Object.fromEntries(
        Object.entries((schema.properties ?? {}) as Schema).map(([key, value]) => [
          key,
          sample(value as Schema, named),
        ]),
      );
    case "array":
      return schema.items === undefined ? [] : [sample(schema.items as Schema, named)];
    case "integer":
    case "number":
      return 1;
    case "boolean":
      return true;
    default:
      return "sample";
  }
}

/** A valid message of each type, made of its schema. */
function messages(): Schema[] {
  return ClientMessage.options.map((option) => {
    const schema = z.toJSONSchema(option, { unrepresentable: "any", io: "input" });
    return sample(schema as unknown as Schema) as Schema;
  });
}

interface Operation {
  operationId: string;
  parameters?: { name: string; in: "query" | "path" | "header"; example?: Json; schema?: { type?: string } }[];
  requestBody?: { content: Record<string, { example?: Schema; schema: Schema }> };
}

interface Call {
  what: string;
  method: string;
  path: string;
  headers?: Record<string, string>;
  body?: Json | undefined;
}

/** Each call of the description, once for each of its strings. */
async function* callsWith(hostile: string): AsyncGenerator<Call> {
  const description = (await (await fetch(`${product.url}/openapi.json`)).json()) as {
    paths: Record<string, Record<string, Operation>>;
    components: { schemas: Record<string, Schema> };
  };
  for (const [template, methods] of Object.entries(description.paths)) {
    if (!template.startsWith("/api/v1/")) continue;
    for (const [method, { operationId, parameters = [], requestBody }] of Object.entries(methods)) {
      const content = Object.values(requestBody?.content ?? {})[0];
      const filled = content && (sample(content.schema, description.components.schemas) as Schema);
      const body = filled && { ...filled, ...content?.example };
      const path = template.replace(/\{[^}]+\}/g, "example");
      for (const parameter of parameters) {
        const what = `${operationId}, ${parameter.in} ${parameter.name}`;
        if (parameter.in === "query") {
          yield { what, method, path: `${path}?${parameter.name}=${encoded(hostile)}`, body };
        } else if (parameter.in === "path") {
          yield { what, method, path: template.replace(/\{[^}]+\}/g, encoded(hostile)), body };
        } else if (hostile === "" || hostile.length > 1000) {
          yield { what, method, path, headers: { [parameter.name]: hostile.slice(0, 8000) }, body };
        }
      }
      if (body === undefined || method === "get") continue;
      for (const [at, changed] of withEachString(body, hostile)) {
        yield { what: `${operationId}, body${at}`, method, path, body: changed };
      }
    }
  }
}

it.each(Object.entries(HOSTILE))(
  "answers every call with %s in each of its strings",
  async (name, hostile) => {
    const wrong: string[] = [];
    let calls = 0;
    for await (const { what, method, path, headers, body } of callsWith(hostile)) {
      calls += 1;
      const answer = await fetch(product.url + path, {
        method: method.toUpperCase(),
        headers: { "client-id": `c-${calls % 3}`, ...headers },
        ...(body === undefined || method === "get" ? {} : { body: JSON.stringify(body) }),
      }).catch((error: unknown) => {
        // workerd refuses a path of a mebibyte with 431 and closes the connection; the reset can overtake the answer.
        if (path.length > MAX_PATH_CHARACTERS) return new Response(null, { status: 431 });
        throw new Error(`${what}: no answer`, { cause: error });
      });
      const text = await answer.text();
      // No runner and a full queue are answers about the moment; an interpreter that needs longer is none of the strings' doing.
      const isFine = answer.status < 500 || answer.status === 503;
      // Too long a path is refused by workerd, before the edge's own code.
      const isProblem =
        answer.ok || answer.status === 431 || answer.headers.get("content-type") === "application/problem+json";
      if (!isFine || !isProblem) wrong.push(`${what}: ${answer.status} ${text.slice(0, 200)}`);
    }
    expect(wrong).toEqual([]);
    expect(calls, name).toBeGreaterThan(40);
  },
  240_000,
);

it.each(Object.entries(HOSTILE))(
  "answers every message with %s in each of its strings",
  async (_name, hostile) => {
    const all = messages();
    expect(all.length).toBeGreaterThan(14);
    const client = await SocketClient.open(product.socketUrl, { clientId: "messages", checked: false });
    let sent = 0;
    for (const message of all) {
      for (const [at, changed] of withEachString(message, hostile)) {
        if (at === ".type") continue;
        client.send(changed as Record<string, unknown>);
        sent += 1;
      }
    }
    // The answer to this one shows that all others were handled.
    client.send({ type: "ping", id: "last" });
    await client.until(({ type, id }) => type === "pong" && id === "last");
    const after = await SocketClient.open(product.socketUrl, { clientId: "messages", session: "another" });
    expect(await after.value("6 * 7", { timeout: 20 })).toBe(42);
    await after.close();
    const failures = client.frames.filter(
      ({ type, data }) => type === "problem" && ["internal", "runner_error"].includes(data.code),
    );
    expect(failures).toEqual([]);
    expect(client.closed).toBeNull();
    expect(sent).toBeGreaterThan(20);
    await client.close();
  },
  120_000,
);
