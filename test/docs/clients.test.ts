/** The table of calls in docs/clients.md against the clients: no call of theirs and no message is missing. */
import { readFileSync } from "node:fs";
import { expect, it } from "vitest";
import { Client } from "../../src/client/index.ts";
import { ClientMessage } from "../../src/protocol/client-message.ts";

const rows = (readFileSync("docs/clients.md", "utf8").split("\n## The calls\n")[1] ?? "")
  .split("\n")
  .filter((line) => line.startsWith("| "))
  .map((line) => line.split(" | "));
const column = (index: number) => rows.map((row) => row[index] ?? "").join("\n");

/** Public methods of the Python client's classes. */
function pythonMethods(): string[] {
  return ["client", "blocking_calls"].flatMap((name) => {
    const text = readFileSync(`src/client-python/pyrepl3/${name}.py`, "utf8");
    const body = text.split("-- for the parts of this package")[0] ?? "";
    return [...body.matchAll(/(?<!@property\n)^ {4}def ([a-z]\w*)\(/gm)].map(([, method = ""]) => method);
  });
}

it("has every message in the first column", () => {
  const types = ClientMessage.options.map(({ shape }) => shape.type.value);
  expect(types.filter((type) => type !== "ping" && !column(1).includes(`\`${type}\``))).toEqual([]);
});

it("has every call of the TypeScript client in the second", () => {
  const methods = Object.entries(Object.getOwnPropertyDescriptors(Client.prototype))
    .filter(([name, { value }]) => typeof value === "function" && name !== "constructor")
    .map(([name]) => name);
  expect(methods.length).toBeGreaterThan(20);
  expect(methods.filter((name) => !column(2).includes(`${name}(`))).toEqual([]);
});

it("has every call of the Python client in the third", () => {
  const methods = pythonMethods().filter((name) => name !== "make");
  expect(methods.length).toBeGreaterThan(20);
  expect(methods.filter((name) => !new RegExp(`\\b${name}\\b`).test(column(3)))).toEqual([]);
});
