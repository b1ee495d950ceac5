/** Owns the messages between the runner and the process that makes one call on a session's files (docs/channel.md). */
import { z } from "zod";
import { FileChange, FileEntry } from "../../src/protocol/file.ts";
import { Unsupported } from "./message.ts";

const filePath = z.string().max(4_096);
const etag = z.string().min(2).max(128);
const fileSize = z.int().nonnegative();

/** A message from the process that works on files. */
export const FilesMessage = z.discriminatedUnion("type", [
  z.object({
    type: z.literal("listed"),
    path: filePath,
    entries: z.array(FileEntry).max(10_000),
    truncated: z.boolean(),
  }),
  z.object({ type: z.literal("opened"), path: filePath, size: fileSize, etag, modified_at: z.number() }),
  z.object({ type: z.literal("staged"), size: fileSize }),
  z.object({
    type: z.literal("written"),
    files: z.array(z.object({ path: filePath, size: fileSize, etag, is_new: z.boolean() })),
  }),
  z.object({ type: z.literal("deleted") }),
  z.object({ type: z.literal("entry"), entry: FileEntry, is_new: z.boolean() }),
  z.object({ type: z.literal("watching") }),
  z.object({ type: z.literal("changed"), files: z.array(FileChange).max(200), truncated: z.boolean() }),
  z.object({
    type: z.literal("file_refused"),
    code: z.enum([
      "invalid_path",
      "invalid_request",
      "not_found",
      "not_empty",
      "precondition_failed",
      "workspace_full",
      "runner_error",
    ]),
    detail: z.string().max(500),
  }),
  Unsupported,
]);
export type FilesMessage = z.infer<typeof FilesMessage>;
export type FilesMessageOf<T extends FilesMessage["type"]> = Extract<FilesMessage, { type: T }>;

/** The condition for replacing a file: its etag is one of these, or the file exists (`*`); or the opposite. */
export interface FileCondition {
  if_match?: string[] | "*";
  if_none_match?: string[] | "*";
}

/** A message from the runner to the process that works on files. */
export type FilesRequest =
  | { type: "list_files"; path: string; recursive: boolean }
  | { type: "read_file"; path: string }
  | { type: "send"; start: number; end: number }
  | ({ type: "write_file"; path: string; folder: string | null; size?: number } & FileCondition)
  | ({ type: "commit_files"; folder: string | null } & FileCondition)
  | { type: "delete_file"; path: string; recursive: boolean }
  | { type: "move_file"; from: string; to: string }
  | { type: "make_folder"; path: string }
  | { type: "watch_files" }
  | { type: "report_files" };
