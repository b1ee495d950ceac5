/** Owns the SDK's calls on the files of a session: `client.files`. Content streams in both directions. */
import type { FileEntry, FileList, FileWritten } from "../protocol/file.ts";
import type { Rest } from "./rest.ts";

/** What a file is made of. Text goes as UTF-8. */
export type FileContent = string | Uint8Array | Blob | ReadableStream<Uint8Array>;

export interface ReadOptions {
  /** The first byte wanted (default 0), and how many from there (default: all). */
  start?: number;
  size?: number;
  signal?: AbortSignal;
}

export interface WriteOptions {
  /** Replaces only the version with this etag. */
  ifMatch?: string;
  /** Fails if the file exists. */
  mustBeNew?: boolean;
  signal?: AbortSignal;
}

const CONTENT = "files/content";
/** An upload is answered after its last byte; the service ends one in which nothing moves. */
const UPLOAD_DEADLINE_MS = 24 * 60 * 60 * 1000;

/** Paths are relative to the session's workspace. Each call fails with a ClientError, for example of the code `not_found`. */
export class Files {
  readonly #rest: Rest;

  constructor(rest: Rest) {
    this.#rest = rest;
  }

  /** The entries of a folder, at most 10,000, sorted by path. */
  list(path = ".", { recursive = false } = {}): Promise<FileList> {
    return this.#rest.json("GET", "files", { query: { ...this.#session, path, recursive } });
  }

  /** A file's bytes, all at once. */
  async read(path: string, options: ReadOptions = {}): Promise<Uint8Array> {
    return new Uint8Array(await (await this.#open(path, options)).arrayBuffer());
  }

  /**
   * A file's bytes as they come, for files of any size.
   *
   * @returns the stream, the number of bytes that it has, and the etag of the version.
   */
  async stream(
    path: string,
    options: ReadOptions = {},
  ): Promise<{ stream: ReadableStream<Uint8Array>; size: number; etag: string }> {
    const response = await this.#open(path, options);
    const stream = (response.body ?? new Blob([]).stream()) as ReadableStream<Uint8Array>;
    const size = Number(response.headers.get("content-length") ?? 0);
    return { stream, size, etag: response.headers.get("etag") ?? "" };
  }

  /** Writes a file as a whole and makes the folders above it. A reader sees the old content or the new one, never a part. */
  write(path: string, content: FileContent, options: WriteOptions = {}): Promise<FileWritten> {
    const { ifMatch, mustBeNew = false, signal } = options;
    return this.#rest.json("PUT", CONTENT, {
      query: { ...this.#session, path },
      headers: {
        "content-type": "application/octet-stream",
        ...(ifMatch === undefined ? {} : { "if-match": ifMatch }),
        ...(mustBeNew ? { "if-none-match": "*" } : {}),
      },
      body: content as NonNullable<RequestInit["body"]>,
      deadlineMs: UPLOAD_DEADLINE_MS,
      ...(signal === undefined ? {} : { signal }),
    });
  }

  /** Deletes a file or an empty folder; with `recursive`, a folder and all in it. */
  async delete(path: string, { recursive = false } = {}): Promise<void> {
    await this.#rest.json("DELETE", "files", { query: { ...this.#session, path, recursive } });
  }

  /** Moves or renames a file or folder. A file at the target is replaced. */
  move(from: string, to: string): Promise<FileEntry> {
    return this.#rest.json("POST", "files/move", { json: { from, to, ...this.#session } });
  }

  /** Makes a folder and those above it. */
  makeDirectory(path: string): Promise<FileEntry> {
    return this.#rest.json("POST", "files/directory", { json: { path, ...this.#session } });
  }

  get #session(): { session: string } {
    return { session: this.#rest.endpoint.session };
  }

  #open(path: string, { start = 0, size, signal }: ReadOptions): Promise<Response> {
    const isPart = start > 0 || size !== undefined;
    const range = `bytes=${start}-${size === undefined ? "" : start + size - 1}`;
    return this.#rest.call("GET", CONTENT, {
      query: { ...this.#session, path },
      ...(isPart ? { headers: { range } } : {}),
      ...(signal === undefined ? {} : { signal }),
    });
  }
}
