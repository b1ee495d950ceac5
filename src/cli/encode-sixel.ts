/** Writes a picture as sixels (DEC STD 070): bands of six rows, in each band one line of characters for each colour in it. */
import type { Picture } from "./decode-png.ts";

/** Levels of each channel; the palette is a cube of them. */
const LEVELS = 6;
const BAND_ROWS = 6;
const FIRST_CHAR = 0x3f;
const START = "\u001bP0;1q";
const END = "\u001b\\";

const level = (value: number) => Math.round((value / 255) * (LEVELS - 1));
const percent = (step: number) => Math.round((step / (LEVELS - 1)) * 100);

/** The escape sequence that shows the picture at the cursor. */
export function encodeSixel({ width, height, rgb }: Picture): string {
  const used = new Set<number>();
  const bands: string[] = [];
  for (let top = 0; top < height; top += BAND_ROWS) {
    const colors = new Map<number, Uint8Array>();
    for (let row = top; row < Math.min(top + BAND_ROWS, height); row += 1) {
      for (let column = 0; column < width; column += 1) {
        const color = colorAt(rgb, (row * width + column) * 3);
        const bits = colors.get(color) ?? new Uint8Array(width);
        bits[column] = (bits[column] ?? 0) | (1 << (row - top));
        colors.set(color, bits);
      }
    }
    for (const color of colors.keys()) used.add(color);
    bands.push([...colors].map(([color, bits]) => `#${color}${encodeRow(bits)}`).join("$"));
  }
  const palette = [...used].map((color) => `#${color};2;${channels(color).map(percent).join(";")}`);
  return `${START}"1;1;${width};${height}${palette.join("")}${bands.join("-")}${END}`;
}

function colorAt(rgb: Uint8Array, at: number): number {
  const [red, green, blue] = [rgb[at] ?? 0, rgb[at + 1] ?? 0, rgb[at + 2] ?? 0];
  return (level(red) * LEVELS + level(green)) * LEVELS + level(blue);
}

function channels(color: number): number[] {
  return [Math.floor(color / (LEVELS * LEVELS)), Math.floor(color / LEVELS) % LEVELS, color % LEVELS];
}

/** Four equal characters or more become a count and one of them. */
function encodeRow(bits: Uint8Array): string {
  let text = "";
  for (let from = 0; from < bits.length; ) {
    let to = from + 1;
    while (to < bits.length && bits[to] === bits[from]) to += 1;
    const char = String.fromCharCode(FIRST_CHAR + (bits[from] ?? 0));
    text += to - from > 3 ? `!${to - from}${char}` : char.repeat(to - from);
    from = to;
  }
  return text;
}
