/** Holds the table of kinds of sandbox and attacks in docs/security.md against the attack suite, and against what a runner says of itself. */
import { globSync, readFileSync } from "node:fs";
import { expect, it } from "vitest";
import { startUnsandboxed } from "../../worker-runner/sandbox/unsandboxed.ts";
import { describeCapabilities } from "../../worker-runner/service/capabilities.ts";
import type { Attack } from "../attacks/catalogue/attack.ts";
import { egressAttacks } from "../attacks/catalogue/egress.ts";
import { kernelEscapes, machineEscapes, processEscapes } from "../attacks/catalogue/escape.ts";
import { fileAttacks as fileCallAttacks } from "../attacks/catalogue/files.ts";
import { frameAttacks } from "../attacks/catalogue/frames.ts";
import { fileEscapes } from "../attacks/catalogue/host-files.ts";
import { internalAttacks } from "../attacks/catalogue/internals.ts";
import { memoryAttacks } from "../attacks/catalogue/memory.ts";
import { outputAttacks } from "../attacks/catalogue/output.ts";
import { processAttacks } from "../attacks/catalogue/processes.ts";
import { fileAttacks } from "../attacks/catalogue/space.ts";
import { checkpointAttacks, workspaceAttacks } from "../attacks/catalogue/state.ts";
import { zygoteAttacks } from "../attacks/catalogue/zygote.ts";
import { findGrades, type Grade } from "../attacks/grade.ts";
import { testSandbox } from "../runner/sandbox/kept-keeper.ts";

const attacks: readonly Attack[] = [
  ...[...egressAttacks, ...kernelEscapes, ...machineEscapes, ...processEscapes, ...fileCallAttacks, ...frameAttacks],
  ...[...fileEscapes, ...internalAttacks, ...memoryAttacks, ...outputAttacks, ...processAttacks, ...fileAttacks],
  ...[...checkpointAttacks, ...workspaceAttacks, ...zygoteAttacks],
];

/** The grades of the table's columns, in order. */
const columns = [
  { kind: "bwrap", isMeasured: false, hasOwnUser: true },
  { kind: "landlock", isMeasured: false, hasOwnUser: true },
  { kind: "landlock", isMeasured: true, hasOwnUser: false },
].map((grade) => ({ ...grade, start: () => startUnsandboxed }) as Grade);

interface Row {
  subject: string;
  /** One for each column; "the same" is what stands to the left. */
  cells: string[];
  heldBy: string[];
}

function readRows(): Row[] {
  const page = readFileSync("docs/security.md", "utf8");
  const table = /\| attack \| bubblewrap .*\n\| ---.*\n((?:\|.*\n)+)/.exec(page)?.[1] ?? "";
  return table
    .trimEnd()
    .split("\n")
    .map((line) => line.split("|").map((cell) => cell.trim()))
    .map(([, subject = "", ...cells]) => {
      const heldBy = cells[3]?.split("; ") ?? [];
      const shown = cells.slice(0, 3);
      const told = shown.map((_, at) => shown.slice(0, at + 1).findLast((cell) => cell !== "the same") ?? "");
      return { subject, cells: told, heldBy };
    });
}

const rows = readRows();

it("has a row for each thing that is tried, with one cell for each kind of sandbox", () => {
  expect(rows.length).toBeGreaterThan(10);
  for (const { subject, cells, heldBy } of rows) {
    expect(
      cells.map((cell) => cell !== ""),
      subject,
    ).toEqual([true, true, true]);
    expect(
      heldBy.filter((name) => name !== ""),
      subject,
    ).not.toEqual([]);
  }
});

it("names attacks and tests that exist", () => {
  const tests = globSync("test/attacks/*.test.ts").map((path) => readFileSync(path, "utf8"));
  const exists = (name: string) =>
    attacks.some((attack) => attack.name === name) || tests.some((text) => text.includes(`it(${JSON.stringify(name)}`));
  expect(rows.flatMap(({ heldBy }) => heldBy).filter((name) => !exists(name))).toEqual([]);
});

it("has every attack from which some kind of sandbox protects less", () => {
  const named = new Set(rows.flatMap(({ heldBy }) => heldBy));
  const isLesser = (attack: Attack) => columns.some((grade) => attack.lesser?.some(({ applies }) => applies(grade)));
  expect(attacks.filter((attack) => isLesser(attack) && !named.has(attack.name)).map(({ name }) => name)).toEqual([]);
});

it.each(rows)("says where a kind of sandbox gives less, and only there: $subject", ({ cells, heldBy }) => {
  const tried = attacks.filter(({ name }) => heldBy.includes(name));
  // Tests outside the catalogue tell the kinds apart themselves.
  if (tried.length === 0) return;
  const gives = columns.map((grade) =>
    tried.some(({ lesser }) => lesser?.some(({ applies }) => applies(grade)) ?? false),
  );
  expect(cells.map((cell) => cell !== cells[0])).toEqual(gives);
});

it("agrees with what a runner on this machine says of itself", async () => {
  const cellOf = (subject: string, grade: Grade) => {
    const column = columns.findIndex(
      ({ kind, hasOwnUser }) => kind === grade.kind && (kind === "bwrap" || hasOwnUser === grade.hasOwnUser),
    );
    // Root that may not mount has the files of the last column.
    const isAboutFiles = subject.includes("file");
    return rows.find((row) => row.subject === subject)?.cells[grade.isMeasured && isAboutFiles ? 2 : column];
  };
  for (const grade of await findGrades()) {
    const choice = {
      kind: grade.kind,
      startSandbox: startUnsandboxed,
      detail: "",
      isWarning: false,
      zygoteProblem: null,
      missing: null,
    };
    const facts = { version: "1.2.3", choice, sandbox: testSandbox, hasPackages: false, runnerLimits: {} };
    const { limits, sandbox } = await describeCapabilities(facts);
    const ends = (name: string) =>
      ["tmpfs", "rlimit"].includes(limits[name]?.mechanism ?? "") ? "error at the limit" : "the session is ended";
    expect(ends("workspace_files")).toBe(cellOf("make a million files", grade));
    expect(ends("workspace_bytes")).toBe(cellOf("fill the room for files", grade));
    // Before Linux 5.14 an ordinary user's processes are counted on the whole machine.
    if (limits.processes?.enforced) expect(ends("processes")).toBe(cellOf("fork and thread bombs", grade));
    expect(sandbox).toMatchObject({ isolated: true, network: false, seccomp: true });
  }
});
