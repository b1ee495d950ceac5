/** Owns the instructions of the runner's Dockerfile as values: what a container engine would do, in order. */
import { readFileSync } from "node:fs";

export type Step =
  | { word: "RUN"; script: string }
  | { word: "COPY"; from: string[]; to: string }
  | { word: "WORKDIR"; folder: string };

export interface Dockerfile {
  /** What is done to the base image. */
  steps: Step[];
  environment: Record<string, string>;
  user: string;
  /** The folder in which the command starts. */
  folder: string;
  command: string[];
}

/** Reads the instructions that the runner's Dockerfile uses. @throws Error at one that is not known here. */
export function readDockerfile(path: string): Dockerfile {
  const read: Dockerfile = { steps: [], environment: {}, user: "root", folder: "/", command: [] };
  const lines = readFileSync(path, "utf8").replaceAll("\\\n", "").split("\n");
  for (const line of lines.filter((one) => one.trim() !== "" && !one.startsWith("#"))) {
    const [word = "", ...rest] = line.split(" ");
    const text = rest.join(" ").trim();
    switch (word) {
      case "RUN":
        read.steps.push({ word, script: text });
        break;
      case "COPY": {
        const paths = text.split(/\s+/);
        const to = paths.pop() ?? "";
        read.steps.push({ word, from: paths, to });
        break;
      }
      case "WORKDIR":
        read.folder = text;
        read.steps.push({ word, folder: text });
        break;
      case "ENV":
        for (const pair of text.split(/\s+/))
          read.environment[pair.split("=", 1)[0] ?? ""] = pair.replace(/^[^=]*=/, "");
        break;
      case "USER":
        read.user = text;
        break;
      case "CMD":
        read.command = JSON.parse(text) as string[];
        break;
      case "FROM":
      case "EXPOSE":
      case "STOPSIGNAL":
        break;
      default:
        throw new Error(`${path} has ${word}, which this program does not know`);
    }
  }
  return read;
}
