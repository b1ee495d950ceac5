/** Owns the file of what the user typed at the prompt, newest first in memory and last in the file. */
import { mkdir, readFile, writeFile } from "node:fs/promises";
import { homedir } from "node:os";
import { dirname, join } from "node:path";

export const MAX_HISTORY_LINES = 1000;

function path(): string {
  const { XDG_STATE_HOME: state } = process.env;
  return join(state || join(homedir(), ".local/state"), "pyrepl3/history");
}

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
