/** Owns checkpoint blobs that no interpreter wrote: the format of docs/checkpoint-format.md, with whatever an attacker likes in it. */
import { createHash } from "node:crypto";

export interface Section {
  kind: "F" | "P" | "M" | "E" | "S";
  meta: object;
  content: Buffer;
  /** What the chunk says it holds; its true size unless said. */
  announcedBytes?: number;
}

/** @param python as the interpreter names itself, for example `cpython-3.11`. */
export function forgeCheckpoint(python: string, sections: readonly Section[]): Buffer {
  const parts = [Buffer.from("PYREPL3-CHECKPOINT\n"), json({ format: 1, python })];
  for (const { kind, meta, content, announcedBytes } of sections) {
    parts.push(Buffer.from(kind), json(meta));
    if (content.length > 0 || announcedBytes !== undefined) parts.push(u32(announcedBytes ?? content.length), content);
    parts.push(u32(0));
  }
  parts.push(Buffer.from("Z"));
  const content = Buffer.concat(parts);
  return Buffer.concat([content, createHash("sha256").update(content).digest()]);
}

function json(value: object): Buffer {
  const text = Buffer.from(JSON.stringify(value));
  return Buffer.concat([u32(text.length), text]);
}

function u32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32LE(value);
  return bytes;
}
