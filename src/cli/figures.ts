/** Owns figures: each is saved to a folder, and shown if the terminal can show pictures. */
import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { type GraphicsProtocol, inlineImage } from "./terminal-graphics.ts";

/** Media types that become files, the one that terminals show best first. */
const EXTENSIONS = {
  "image/png": "png",
  "image/jpeg": "jpg",
  "image/gif": "gif",
  "image/svg+xml": "svg",
  "application/pdf": "pdf",
} as const;

type MediaType = keyof typeof EXTENSIONS;

const isText = (type: MediaType) => type === "image/svg+xml";

export interface FiguresOptions {
  /** Null: none is saved. */
  folder: string | null;
  /** Null: none is shown. */
  protocol: GraphicsProtocol | null;
}

export class Figures {
  readonly #options: FiguresOptions;
  #count = 0;

  constructor(options: FiguresOptions) {
    this.#options = options;
  }

  /**
   * Saves the figure of something displayed.
   *
   * @returns what to print: the escape sequences that show it, and the file; null if there is no figure, or nothing to do with it.
   */
  async take(mime: Record<string, string>): Promise<{ picture: string; path: string | null } | null> {
    const type = (Object.keys(EXTENSIONS) as MediaType[]).find((one) => one in mime);
    if (type === undefined) return null;
    const content = mime[type] ?? "";
    const { folder, protocol } = this.#options;
    const path = folder === null ? null : await this.#save(folder, type, content);
    const picture =
      protocol === null || isText(type) ? null : inlineImage(protocol, type, content.replaceAll("\n", ""));
    return path === null && picture === null ? null : { picture: picture ?? "", path };
  }

  async #save(folder: string, type: MediaType, content: string): Promise<string> {
    const time = new Date().toISOString().slice(0, 19).replaceAll(/[-:]/g, "").replace("T", "-");
    const bytes = isText(type) ? content : Buffer.from(content, "base64");
    await mkdir(folder, { recursive: true, mode: 0o700 });
    for (;;) {
      this.#count += 1;
      const path = join(folder, `figure-${time}-${this.#count}.${EXTENSIONS[type]}`);
      try {
        await writeFile(path, bytes, { flag: "wx", mode: 0o600 });
        return path;
      } catch (error) {
        // Another prompt has saved one in the same second.
        if ((error as NodeJS.ErrnoException).code !== "EEXIST") throw error;
      }
    }
  }
}
