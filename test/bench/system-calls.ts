// Counts the system calls of each part of the service with strace, if the machine has it and allows tracing.
import { spawn } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { type Part, partOf } from "../support/counters.ts";
import { familyOf } from "../support/processes.ts";

const ATTACH_MS = 1_000;
const parts = ["edge", "runner", "interpreter"] satisfies Part[];

interface Trace {
  part: Part;
  file: string;
  /** Ends the trace and waits for its summary. */
  end(): Promise<void>;
}

function trace(part: Part, pids: readonly number[], folder: string): Trace {
  const file = join(folder, part);
  const attach = pids.flatMap((pid) => ["-p", `${pid}`]);
  const child = spawn("strace", ["-f", "-c", "-o", file, ...attach], { stdio: "ignore" });
  const ended = new Promise<void>((resolve) => {
    child.once("exit", () => resolve());
    child.once("error", () => resolve());
  });
  return {
    part,
    file,
    end: () => {
      child.kill("SIGINT");
      return ended;
    },
  };
}

/** The number of calls in strace's summary, or null if it counted nothing. */
function totalOf(file: string): number | null {
  try {
    const total = /^100\.00\s+\S+\s+\S+\s+(\d+)\s/m.exec(readFileSync(file, "utf8"));
    return total === null ? null : Number(total[1]);
  } catch {
    return null;
  }
}

/** System calls of each part while `run` goes on; null if they cannot be traced. */
export async function countSystemCalls(
  servicePid: number,
  run: () => Promise<void>,
): Promise<Record<Part, number> | null> {
  const folder = mkdtempSync(join(tmpdir(), "pyrepl3-calls-"));
  try {
    const pids = familyOf(servicePid);
    const traces = parts.map((part) =>
      trace(
        part,
        pids.filter((pid) => partOf(pid) === part),
        folder,
      ),
    );
    await sleep(ATTACH_MS);
    await run();
    await Promise.all(traces.map((each) => each.end()));
    const counts = traces.map(({ file }) => totalOf(file));
    const [edge, runner, interpreter] = counts;
    if (edge == null || runner == null || interpreter == null) return null;
    return { edge, runner, interpreter };
  } finally {
    rmSync(folder, { recursive: true });
  }
}
