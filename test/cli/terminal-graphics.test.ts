/** Pictures in a terminal: which terminal shows them how, and that a PNG becomes the sixels of its colours. */
import { crc32, deflateSync } from "node:zlib";
import { expect, it } from "vitest";
import { decodePng } from "../../src/cli/decode-png.ts";
import { encodeSixel } from "../../src/cli/encode-sixel.ts";
import { findGraphics, inlineImage } from "../../src/cli/terminal-graphics.ts";

const [WIDTH, HEIGHT] = [9, 14];

function chunk(type: string, content: Uint8Array): Buffer {
  const named = Buffer.concat([Buffer.from(type), content]);
  const size = Buffer.alloc(4);
  size.writeUInt32BE(content.length);
  const check = Buffer.alloc(4);
  check.writeUInt32BE(crc32(named));
  return Buffer.concat([size, named, check]);
}

/** A PNG of these samples whose rows use the five filters in turn. */
function encodePng(samples: Uint8Array, channels: number, colorType: number, palette?: Uint8Array): Buffer {
  const stride = WIDTH * channels;
  const at = (row: number, column: number) =>
    row < 0 || column < 0 ? 0 : (samples[row * stride + column] ?? Number.NaN);
  const rows = Array.from({ length: HEIGHT }, (_, row) => {
    const filtered = Array.from({ length: stride }, (_column, column) => {
      const [left, above, corner] = [at(row, column - channels), at(row - 1, column), at(row - 1, column - channels)];
      const nearest = [left, above, corner].toSorted(
        (a, b) => Math.abs(left + above - corner - a) - Math.abs(left + above - corner - b),
      )[0];
      return at(row, column) - ([0, left, above, Math.floor((left + above) / 2), nearest][row % 5] ?? 0);
    });
    return Uint8Array.from([row % 5, ...filtered]);
  });
  const header = Buffer.alloc(13);
  header.writeUInt32BE(WIDTH, 0);
  header.writeUInt32BE(HEIGHT, 4);
  header.set([8, colorType], 8);
  return Buffer.concat([
    Buffer.from("89504e470d0a1a0a", "hex"),
    chunk("IHDR", header),
    ...(palette === undefined ? [] : [chunk("PLTE", palette)]),
    chunk("IDAT", deflateSync(Buffer.concat(rows))),
    chunk("IEND", new Uint8Array()),
  ]);
}

const rgb = Uint8Array.from({ length: WIDTH * HEIGHT * 3 }, (_, index) => (index * 37 + (index % 7) * 11) % 256);

/** The colours of sixels, in percent, row by row. */
function readSixel(text: string): number[][] {
  const [, size = "", body = ""] = /^P0;1q"1;1;(\d+;\d+)([\s\S]*)\\$/.exec(text.replaceAll("\u001b", "")) ?? [];
  const [width = 0, height = 0] = size.split(";").map(Number);
  const pixels: number[][] = Array.from({ length: width * height }, () => []);
  const palette = new Map<string, number[]>();
  let [color, column, top] = ["", 0, 0];
  for (const [whole, id, parts, count, char] of body.matchAll(/#(\d+)(;2;[\d;]+)?|(?:!(\d+))?([?-~])|[$-]/g)) {
    if (whole === "$" || whole === "-") {
      column = 0;
      if (whole === "-") top += 6;
    } else if (parts !== undefined) palette.set(id ?? "", parts.split(";").slice(2).map(Number));
    else if (id !== undefined) color = id;
    else {
      const bits = (char?.charCodeAt(0) ?? 0) - 0x3f;
      for (let left = Number(count ?? 1); left > 0; left -= 1, column += 1) {
        for (let row = 0; row < 6; row += 1) {
          if (bits & (1 << row)) pixels[(top + row) * width + column] = palette.get(color) ?? [];
        }
      }
    }
  }
  return pixels;
}

it("reads PNGs of every kind that plotting libraries write", () => {
  const picture = { width: WIDTH, height: HEIGHT };
  expect(decodePng(encodePng(rgb, 3, 2))).toEqual({ ...picture, rgb });
  const gray = rgb.slice(0, WIDTH * HEIGHT);
  const asRgb = Uint8Array.from([...gray].flatMap((one) => [one, one, one]));
  expect(decodePng(encodePng(gray, 1, 0))).toEqual({ ...picture, rgb: asRgb });
  const indexes = gray.map((one) => one % 4);
  const palette = Uint8Array.from([0, 0, 0, 255, 0, 0, 0, 255, 0, 0, 0, 255]);
  const colored = [...indexes].flatMap((one) => [...palette.slice(one * 3, one * 3 + 3)]);
  expect(decodePng(encodePng(indexes, 1, 3, palette))).toEqual({ ...picture, rgb: Uint8Array.from(colored) });
  const half = Uint8Array.from({ length: WIDTH * HEIGHT * 4 }, (_, index) => (index % 4 === 3 ? 51 : 0));
  expect(decodePng(encodePng(half, 4, 6))?.rgb).toEqual(new Uint8Array(WIDTH * HEIGHT * 3).fill(204));
});

it("reads nothing of other files", () => {
  expect(decodePng(Buffer.from("GIF89a"))).toBeNull();
  expect(decodePng(encodePng(rgb, 3, 2).subarray(0, 20))).toBeNull();
});

it("writes sixels of the picture's colours", () => {
  const percents = (from: number) => [...rgb.slice(from, from + 3)].map((one) => Math.round((one / 255) * 5) * 20);
  const pixels = readSixel(encodeSixel({ width: WIDTH, height: HEIGHT, rgb }));
  expect(pixels).toEqual(Array.from({ length: WIDTH * HEIGHT }, (_, index) => percents(index * 3)));
});

it.each([
  [{ TERM: "xterm-kitty" }, "kitty"],
  [{ TERM: "xterm-256color", TERM_PROGRAM: "ghostty" }, "kitty"],
  [{ TERM: "xterm-256color", LC_TERMINAL: "iTerm2" }, "iterm2"],
  [{ TERM: "xterm-256color", TERM_PROGRAM: "WezTerm" }, "iterm2"],
  [{ TERM: "foot" }, "sixel"],
  [{ TERM: "xterm-256color" }, null],
  [{ TERM: "tmux-256color", KITTY_WINDOW_ID: "1" }, null],
  [{ TERM: "xterm-kitty", TMUX: "/tmp/tmux" }, null],
])("finds what the terminal of %j shows", (environment, protocol) => {
  expect(findGraphics(environment)).toBe(protocol);
});

it("cuts a picture for kitty into pieces, and says which is the last", () => {
  const text = inlineImage("kitty", "image/png", "A".repeat(4097)) ?? "";
  expect([...text.matchAll(/_G([^;]*);(A*)/g)].map(([, keys, piece]) => [keys, piece?.length])).toEqual([
    ["a=T,f=100,q=2,m=1", 4096],
    ["m=0", 1],
  ]);
  expect(inlineImage("kitty", "image/jpeg", "AAAA")).toBeNull();
  expect(inlineImage("iterm2", "image/jpeg", "AAAA")).toBe("\u001b]1337;File=inline=1;size=3:AAAA\u0007\n");
});
