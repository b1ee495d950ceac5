import { describe, expect, it } from "vitest";
import {
  ChannelViolation,
  encodeFrame,
  encodeMessage,
  FrameKind,
  FrameParser,
  MAX_JSON_BYTES,
  MAX_PIECE_BYTES,
  OUTPUT_HEADER_BYTES,
} from "../../../worker-runner/channel/framing.ts";

type Frame = [kind: number, payload: string];

function parse(chunks: Buffer[], maxJsonBytes?: number): Frame[] {
  const frames: Frame[] = [];
  const parser = new FrameParser((kind, payload) => frames.push([kind, payload.toString()]), maxJsonBytes);
  for (const chunk of chunks) parser.push(chunk);
  return frames;
}

/** The parts of one piece of a blob put together again. */
function withWholePieces(frames: Frame[]): Frame[] {
  const whole: Frame[] = [];
  for (const [kind, payload] of frames) {
    const last = whole.at(-1);
    if (kind === FrameKind.blob && last?.[0] === kind && last[1] !== "") last[1] += payload;
    else whole.push([kind, payload]);
  }
  return whole;
}

function headerOf(length: number, kind: number): Buffer {
  const header = Buffer.alloc(5);
  header.writeUInt32LE(length, 0);
  header[4] = kind;
  return header;
}

describe("frames", () => {
  const bytes = Buffer.concat([
    encodeMessage({ type: "exit" }),
    encodeFrame(FrameKind.blob, Buffer.from("")),
    encodeFrame(FrameKind.output, Buffer.from("x".repeat(1000))),
    encodeFrame(FrameKind.blob, Buffer.from("end")),
  ]);
  const expected: Frame[] = [
    [FrameKind.json, '{"type":"exit"}'],
    [FrameKind.blob, ""],
    [FrameKind.output, "x".repeat(1000)],
    [FrameKind.blob, "end"],
  ];

  it("come out as they went in, wherever the stream is cut", () => {
    for (let size = 1; size <= bytes.length; size += 1) {
      const chunks: Buffer[] = [];
      for (let at = 0; at < bytes.length; at += size) chunks.push(bytes.subarray(at, at + size));
      expect(withWholePieces(parse(chunks))).toEqual(expected);
    }
  });

  it("carry any text as ASCII", () => {
    const text = 'ä\u{1f40d}\ud800"\n';
    const frame = encodeMessage({ text });
    expect(frame.every((byte, at) => at < 5 || byte < 128)).toBe(true);
    expect(JSON.parse(parse([frame])[0]?.[1] ?? "")).toEqual({ text });
  });

  it.each([
    ["json", FrameKind.json, MAX_JSON_BYTES],
    ["output", FrameKind.output, MAX_PIECE_BYTES + OUTPUT_HEADER_BYTES],
    ["blob", FrameKind.blob, MAX_PIECE_BYTES],
  ])("of kind %s may be as long as the limit and not one byte longer", (_name, kind, limit) => {
    expect(() => parse([headerOf(limit + 1, kind)])).not.toThrow();
    expect(() => parse([headerOf(limit + 2, kind)])).toThrow(ChannelViolation);
  });

  it("are refused where they are of no kind, or have no room for one", () => {
    expect(() => parse([headerOf(1, 0x58)])).toThrow(ChannelViolation);
    expect(() => parse([headerOf(0, FrameKind.json)])).toThrow(ChannelViolation);
  });

  it("are held to a shorter limit where the parser is told so", () => {
    expect(() => parse([headerOf(101, FrameKind.json)], 100)).not.toThrow();
    expect(() => parse([headerOf(102, FrameKind.json)], 100)).toThrow(ChannelViolation);
  });

  it("that follow in the same chunk are not delivered once the parser is stopped", () => {
    const seen: string[] = [];
    const parser: FrameParser = new FrameParser((_kind, payload) => {
      seen.push(payload.toString());
      parser.stop();
    });
    parser.push(
      Buffer.concat([encodeFrame(FrameKind.blob, Buffer.from("1")), encodeFrame(FrameKind.blob, Buffer.from("2"))]),
    );
    expect(seen).toEqual(["1"]);
  });

  it("in single bytes cost time in proportion to their length", () => {
    const frame = encodeFrame(FrameKind.json, Buffer.alloc(4 * 1024 * 1024, "a"));
    const startedAt = performance.now();
    let count = 0;
    const parser = new FrameParser(() => {
      count += 1;
    });
    for (let at = 0; at < frame.length; at += 1) parser.push(frame.subarray(at, at + 1));
    expect(count).toBe(1);
    expect(performance.now() - startedAt).toBeLessThan(40_000);
  });
});
