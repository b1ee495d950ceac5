/** Owns how events are packed into one row of the journal, and unpacked again. */
import { byteLength } from "../../byte-length.ts";
import { EventType, isTerminal } from "../../protocol/event.ts";
import type { ExecutionId } from "../../protocol/identity.ts";

/** One event as clients get it. */
export interface JournalEvent {
  kind: "event";
  seq: number;
  type: EventType;
  executionId: ExecutionId;
  frame: string;
  /** Of `frame` in UTF-8, if they were counted. */
  bytes?: number;
  /** Bytes of the text of an output event, if they were counted. */
  textBytes?: number;
}

/** Bytes of an event's frame in UTF-8. */
export function bytesOf(event: JournalEvent): number {
  event.bytes ??= byteLength(event.frame);
  return event.bytes;
}

/** Events that are no longer kept; `size` is the length of their frames in characters. */
export interface JournalGap {
  kind: "gap";
  from: number;
  to: number;
  size: number;
}

export type JournalEntry = JournalEvent | JournalGap;

/** Bytes of the frames of these entries. */
export function sizeOf(entries: readonly JournalEntry[]): number {
  return entries.reduce((sum, entry) => sum + (entry.kind === "gap" ? 0 : bytesOf(entry)), 0);
}

/** Characters of frames in one row; a larger frame has rows of its own. SQLite in a Durable Object takes 2 MB a row, of up to 3 bytes a character. */
export const ROW_MAX_CHARS = 64 * 1024;
export const PART_MAX_CHARS = 512 * 1024;

const TYPES = EventType.options;
const GAP = -1;

/**
 * Names of executions, then three numbers for each entry in order of seq: type, execution and length of the frame;
 * or -1, the number of missing events and their length in characters. Seqs within a row have no hole.
 */
interface Heads {
  x: ExecutionId[];
  e: number[];
}

export interface PackedRow {
  firstSeq: number;
  lastSeq: number;
  heads: string;
  frames: string;
}

const firstOf = (entry: JournalEntry) => (entry.kind === "gap" ? entry.from : entry.seq);
const lastOf = (entry: JournalEntry) => (entry.kind === "gap" ? entry.to : entry.seq);

/** Packs entries that follow one another without a hole; there is at least one. */
export function packRow(entries: readonly JournalEntry[]): PackedRow {
  const heads: Heads = { x: [], e: [] };
  const places = new Map<ExecutionId, number>();
  const frames: string[] = [];
  for (const entry of entries) {
    if (entry.kind === "gap") {
      heads.e.push(GAP, entry.to - entry.from + 1, entry.size);
      continue;
    }
    let place = places.get(entry.executionId);
    if (place === undefined) {
      place = heads.x.push(entry.executionId) - 1;
      places.set(entry.executionId, place);
    }
    heads.e.push(TYPES.indexOf(entry.type), place, entry.frame.length);
    frames.push(entry.frame);
  }
  const [first, last] = [entries[0], entries.at(-1)];
  if (first === undefined || last === undefined) throw new Error("a row of the journal has at least one entry");
  return { firstSeq: firstOf(first), lastSeq: lastOf(last), heads: JSON.stringify(heads), frames: frames.join("") };
}

/** Takes a row apart; events up to `after` are left out. */
export function unpackRow(firstSeq: number, headsText: string, frames: string, after = -1): JournalEntry[] {
  const heads = JSON.parse(headsText) as Heads;
  const entries: JournalEntry[] = [];
  let seq = firstSeq;
  let offset = 0;
  for (let at = 0; at < heads.e.length; at += 3) {
    const [code, second, third] = [heads.e[at] ?? 0, heads.e[at + 1] ?? 0, heads.e[at + 2] ?? 0];
    if (code === GAP) {
      if (seq + second - 1 > after) {
        entries.push({ kind: "gap", from: Math.max(seq, after + 1), to: seq + second - 1, size: third });
      }
      seq += second;
      continue;
    }
    if (seq > after) {
      const type = TYPES[code];
      const executionId = heads.x[second];
      if (type === undefined || executionId === undefined) throw new Error("a row of the journal is damaged");
      entries.push({ kind: "event", seq, type, executionId, frame: frames.slice(offset, offset + third) });
    }
    offset += third;
    seq += 1;
  }
  return entries;
}

/** What pruning leaves of a row without terminal events; null if it has one. Needs no frames. */
export function gapOfRow(firstSeq: number, headsText: string): JournalGap | null {
  const { e } = JSON.parse(headsText) as Heads;
  const gap: JournalGap = { kind: "gap", from: firstSeq, to: firstSeq - 1, size: 0 };
  for (let at = 0; at < e.length; at += 3) {
    const [code, second, third] = [e[at] ?? 0, e[at + 1] ?? 0, e[at + 2] ?? 0];
    const type = TYPES[code];
    if (code !== GAP && type !== undefined && isTerminal(type)) return null;
    gap.to += code === GAP ? second : 1;
    gap.size += third;
  }
  return gap;
}

/** Joins neighbouring gaps. */
export function joinGaps(entries: readonly JournalEntry[]): JournalEntry[] {
  const joined: JournalEntry[] = [];
  for (const entry of entries) {
    const previous = joined.at(-1);
    if (entry.kind === "gap" && previous?.kind === "gap" && previous.to + 1 === entry.from) {
      previous.to = entry.to;
      previous.size += entry.size;
    } else {
      joined.push(entry);
    }
  }
  return joined;
}

/** Turns events into gaps: all of them, or all but terminal events. */
export function pruneEntries(entries: readonly JournalEntry[], keepTerminals: boolean): JournalEntry[] {
  return joinGaps(
    entries.map((entry) =>
      entry.kind === "gap" || (keepTerminals && isTerminal(entry.type))
        ? entry
        : { kind: "gap", from: entry.seq, to: entry.seq, size: entry.frame.length },
    ),
  );
}

/** Cuts a text into pieces that fit into a row of SQLite, never between the two halves of a character. */
export function cutText(text: string, maxChars = PART_MAX_CHARS): string[] {
  const parts: string[] = [];
  for (let at = 0; at < text.length; ) {
    let end = Math.min(at + maxChars, text.length);
    const unit = text.charCodeAt(end - 1);
    if (end < text.length && unit >= 0xd800 && unit <= 0xdbff) end -= 1;
    parts.push(text.slice(at, end));
    at = end;
  }
  return parts;
}
