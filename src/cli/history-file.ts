/** Owns the file of the lines typed at the prompt. The newest is first in memory and last in the file. */
import { mkdir, readFile, writeFile } from "node:fs/promises";
import { dirname } from "node:path";
import { statePath } from "./state-path.ts";

export const MAX_HISTORY_LINES = 1000;

const path = () => statePath("history");

/** The lines of earlier prompts, newest first; none where there is no such file. */
export async function readHistory(): Promise<string[]> {
  try {
    return (await readFile(path(), "utf8"))
      .split("\n")
      .filter((line) => line !== "")
      .toReversed();
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return [];
    throw error;
  }
}

/** Lines may hold secrets, so that nobody else may read the file. */
export async function writeHistory(lines: readonly string[]): Promise<void> {
  await mkdir(dirname(path()), { recursive: true, mode: 0o700 });
  await writeFile(path(), `${lines.slice(0, MAX_HISTORY_LINES).toReversed().join("\n")}\n`, { mode: 0o600 });
}
