/** Reads the code that `pyrepl3 run` runs from a file, and says in plain words why it cannot. */
import { readFile } from "node:fs/promises";

const REASONS: Record<string, string> = {
  ENOENT: "there is no such file",
  EISDIR: "it is a folder",
  EACCES: "its permissions do not allow it",
};

/** @throws Error naming the file and the reason. */
export async function readCode(path: string): Promise<string> {
  try {
    return await readFile(path, "utf8");
  } catch (error) {
    const { code = "", message } = error as NodeJS.ErrnoException;
    throw new Error(`${path} cannot be read: ${REASONS[code] ?? message}`, { cause: error });
  }
}
