/** An agent's tool: it runs the code that a language model wrote, and gives back text and images for the model. */
import type { Client } from "../src/client/index.ts";

const MAX_CHARS = 4000;

export interface CodeReport {
  text: string;
  /** PNG images in base64. */
  images: string[];
}

/** Keeps the beginning and the end, because errors stand at the end. */
function truncate(text: string): string {
  if (text.length <= MAX_CHARS) return text;
  const half = MAX_CHARS / 2;
  return `${text.slice(0, half)}\n[${text.length - MAX_CHARS} characters left out]\n${text.slice(-half)}`;
}

/** Code that fails leaves no trace in the session, so that the model can try again. */
export async function runCode(python: Client, code: string, timeout = 30): Promise<CodeReport> {
  const outcome = await python.run(code, { timeout, policy: "rollback_on_failure", onInput: () => null });
  const parts = [outcome.stdout, outcome.stderr, outcome.repr ?? "", outcome.error?.traceback ?? ""];
  const text = parts.map((part) => part.trimEnd()).filter((part) => part !== "");
  const images = outcome.displays.flatMap(({ mime }) => mime["image/png"] ?? []);
  return { text: truncate(text.join("\n")) || "(no output)", images };
}
