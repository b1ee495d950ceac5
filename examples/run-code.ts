/** An agent's tool: it runs the code that a language model wrote, and gives back text and images for the model. */
import type { Client } from "../src/client/index.ts";

const MAX_CHARS = 4000;
const MAX_IMAGES = 4;

/** What a model is told of the tool. */
export const RUN_CODE_TOOL = {
  name: "run_code",
  description:
    "Runs Python in a session that keeps its variables. Gives back the output, the last value and the figures.",
  input_schema: {
    type: "object",
    properties: { code: { type: "string", description: "Python code" } },
    required: ["code"],
  },
} as const;

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
  const shown = [...outcome.displays, outcome].flatMap(({ mime }) => mime["image/png"] ?? []);
  const images = shown.slice(0, MAX_IMAGES);
  if (shown.length > images.length) text.push(`[${shown.length - images.length} images left out]`);
  return { text: truncate(text.join("\n")) || "(no output)", images };
}
