/** What the docs say about the repository: paths exist, links lead somewhere, every setting has its row. */
import { execFileSync } from "node:child_process";
import { existsSync, globSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { expect, it } from "vitest";
import { EDGE_VARIABLES } from "../../src/local/edge-variables.ts";
import { PROBLEMS } from "../../src/protocol/problem.ts";
import { RUNNER_VARIABLES } from "../../worker-runner/service/config.ts";

const pages = ["README.md", "CONTRIBUTING.md", ...globSync("docs/**/*.md")];
const read = (page: string) => readFileSync(page, "utf8");

it.each(pages)("%s names only paths that exist", (page) => {
  const named = [
    ...read(page).matchAll(/`((?:src|worker-runner|test|scripts|docs|deploy|\.ci|\.github)\/[^\s`*{}<>…]*)`/g),
  ];
  const missing = named.map((match) => match[1] ?? "").filter((path) => !existsSync(path));
  expect(missing).toEqual([]);
});

it.each(pages)("%s links only to pages that exist", (page) => {
  const targets = [...read(page).matchAll(/\]\((?!https?:)([^)#\s]+)(?:#[^)]*)?\)/g)].map((match) => match[1] ?? "");
  expect(targets.filter((target) => !existsSync(join(dirname(page), target)))).toEqual([]);
});

it("gives every setting of edge and runner its row", () => {
  const rows = read("docs/operations.md")
    .split("\n")
    .filter((line) => line.startsWith("| `"))
    .map((line) => line.split("|")[1] ?? "")
    .join();
  const missing = [...EDGE_VARIABLES, ...RUNNER_VARIABLES].filter((name) => !rows.includes(`\`${name}\``));
  expect(missing).toEqual([]);
});

it("names every problem code in the contract's page", () => {
  const page = read("docs/protocol.md");
  expect(Object.keys(PROBLEMS).filter((code) => !page.includes(`\`${code}\``))).toEqual([]);
});

it("has every section of the contract's page that the code names", { tags: "git" }, () => {
  const sections = new Set(Array.from(read("docs/protocol.md").matchAll(/^## (\d+)\./gm), ([, number]) => number));
  const files = execFileSync("git", ["ls-files", "src", "worker-runner"], { encoding: "utf8" }).trim().split("\n");
  const named = files
    .filter((file) => /\.(ts|py)$/.test(file) && existsSync(file))
    .flatMap((file) =>
      Array.from(read(file).matchAll(/\(protocol, sections? ([\d, and]+)\)/g), ([, list]) => ({ file, list })),
    );
  expect(named.length).toBeGreaterThan(10);
  const missing = named.filter(({ list }) => list?.match(/\d+/g)?.some((number) => !sections.has(number)));
  expect(missing).toEqual([]);
});

it("keeps lines short enough to read side by side", () => {
  const long = pages.flatMap((page) =>
    read(page)
      .split("\n")
      .filter((line) => line.length > 160 && !/^(\||\s*(```|[→←]|curl))/.test(line))
      .map((line) => `${page}: ${line.slice(0, 60)}`),
  );
  expect(long).toEqual([]);
});

it("prints the tree of folders as it is on the disk", { tags: "git" }, () => {
  const tree = /## Where things are\n\n```\n([\s\S]*?)```/.exec(read("docs/architecture.md"))?.[1] ?? "";
  const above: string[] = [];
  const printed = tree
    .trimEnd()
    .split("\n")
    .map((line) => {
      const [, indent = "", name = ""] = /^( *)([^ ]+)\//.exec(line) ?? [];
      above.length = indent.length / 2;
      above.push(name);
      return above.join("/");
    });
  const tracked = execFileSync("git", ["ls-files"], { encoding: "utf8" })
    .trim()
    .split("\n")
    .map((path) => dirname(path));
  const folders = new Set(
    tracked.flatMap((path) => path.split("/").map((_, end, parts) => parts.slice(0, end + 1).join("/"))),
  );
  const shown = [...folders].filter((path) => !/^(\.|docs|test\/)/.test(path));
  expect(printed.toSorted()).toEqual(shown.toSorted());
});
