/** Owns the schemas of calls on the files of a session's workspace (protocol, section 11). */
import { z } from "zod";
import { hasWholeCharacters, SessionName, Timestamp } from "./identity.ts";

/** Relative to the workspace. Whether it stays inside is judged where the files are. */
export const FilePath = z.string().min(1).max(4096).refine(hasWholeCharacters, "must not have half a character");

export const FileEntry = z.object({
  path: z.string(),
  type: z.enum(["file", "directory", "link", "other"]),
  size: z.int().nonnegative(),
  modified_at: Timestamp,
});
export type FileEntry = z.infer<typeof FileEntry>;

/** Answer of `GET /api/v1/files`: at most 10,000 entries, sorted by path. */
export const FileList = z.object({ path: z.string(), entries: z.array(FileEntry), truncated: z.boolean() });
export type FileList = z.infer<typeof FileList>;

/** Answer of `PUT /api/v1/files/content`. */
export const FileWritten = z.object({ path: z.string(), size: z.int().nonnegative(), etag: z.string() });
export type FileWritten = z.infer<typeof FileWritten>;

/** Answer of `POST /api/v1/files`. */
export const FilesUploaded = z.object({
  files: z.array(z.object({ path: z.string(), size: z.int().nonnegative() })),
});
export type FilesUploaded = z.infer<typeof FilesUploaded>;

export const MoveFileBody = z.object({ from: FilePath, to: FilePath, session: SessionName.optional() });
export const DirectoryBody = z.object({ path: FilePath, session: SessionName.optional() });

/** One file that an execution changed. */
export const FileChange = z.object({
  path: z.string(),
  change: z.enum(["created", "modified", "deleted"]),
  size: z.int().nonnegative(),
});
export type FileChange = z.infer<typeof FileChange>;
