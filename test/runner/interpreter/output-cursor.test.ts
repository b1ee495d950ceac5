import { describe, expect, it } from "vitest";
import { ChannelViolation } from "../../../worker-runner/channel/framing.ts";
import { OutputCursor, type OutputPiece, readOutputFrame } from "../../../worker-runner/interpreter/output-cursor.ts";

function bytes(offset: number, text: string): OutputPiece {
  return { offset, stream: "stdout", bytes: Buffer.from(text) };
}

function text(offset: number, value: string): OutputPiece {
  return { offset, stream: "stdout", text: value };
}

describe("an output frame", () => {
  it("has its offset, its stream and its text", () => {
    const payload = Buffer.concat([Buffer.from([1, 0, 0, 0, 1, 0, 0, 0, 2]), Buffer.from("ä")]);
    expect(readOutputFrame(payload)).toEqual({ offset: 2 ** 32 + 1, stream: "stderr", bytes: Buffer.from("ä") });
  });

  it.each([0, 3])("with stream %i is refused", (stream) => {
    expect(() => readOutputFrame(Buffer.from([0, 0, 0, 0, 0, 0, 0, 0, stream]))).toThrow(ChannelViolation);
  });

  it("too short to name its stream is refused", () => {
    expect(() => readOutputFrame(Buffer.alloc(8))).toThrow(ChannelViolation);
  });
});

describe("output of a live process", () => {
  it("continues where it ended", () => {
    const cursor = new OutputCursor();
    expect(cursor.next(bytes(5, "aä"))).toBe("aä");
    expect(cursor.next(text(8, "\udcff"))).toBe("\udcff");
    expect(cursor.next(bytes(11, "b"))).toBe("b");
  });

  it.each([7, 9])("at offset %i where 8 is due is refused", (offset) => {
    const cursor = new OutputCursor();
    cursor.next(bytes(5, "abc"));
    expect(() => cursor.next(bytes(offset, "d"))).toThrow(ChannelViolation);
  });

  it("may be two bytes further on for each pair that could be two lone surrogates", () => {
    const cursor = new OutputCursor();
    cursor.next(text(0, "\ud83d\ude00"));
    expect(cursor.next(bytes(6, "x"))).toBe("x");
    const other = new OutputCursor();
    other.next(text(0, "\ud83d\ude00"));
    expect(() => other.next(bytes(7, "x"))).toThrow(ChannelViolation);
  });
});

describe("output that the keeper hands over", () => {
  it("is taken from where the process's own ended", () => {
    const cursor = new OutputCursor();
    cursor.next(bytes(0, "abc"));
    expect(cursor.rest(bytes(0, "ab"))).toBe("");
    expect(cursor.rest(bytes(1, "bcd"))).toBe("d");
    expect(cursor.rest(text(3, "dä\udcff"))).toBe("ä\udcff");
    expect(cursor.rest(bytes(9, "end"))).toBe("end");
  });

  it("is taken whole where the process sent none", () => {
    expect(new OutputCursor().rest(bytes(77, "all"))).toBe("all");
  });
});
