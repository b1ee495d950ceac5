/** Decodes a PNG (ISO/IEC 15948) for terminals that cannot show PNG. It reads 8 bits a channel without interlacing, as plotting libraries write. */
import { inflateSync } from "node:zlib";

/** Rows from the top, each pixel red, green, blue; what is transparent is on white. */
export interface Picture {
  width: number;
  height: number;
  rgb: Uint8Array;
}

const SIGNATURE = "89504e470d0a1a0a";
const MAX_PIXELS = 16_000_000;
/** Channels of a pixel by colour type: gray, RGB, palette, gray with alpha, RGBA. */
const CHANNELS: Record<number, number> = { 0: 1, 2: 3, 3: 1, 4: 2, 6: 4 };

/** @returns null if it is no PNG, or one of another kind. */
export function decodePng(bytes: Buffer): Picture | null {
  if (bytes.subarray(0, 8).toString("hex") !== SIGNATURE) return null;
  const chunks = readChunks(bytes);
  const [header] = chunks.get("IHDR") ?? [];
  if (header === undefined || header.length < 13) return null;
  const [width, height] = [header.readUInt32BE(0), header.readUInt32BE(4)];
  const [depth, colorType = -1, , , interlaced] = header.subarray(8);
  const channels = CHANNELS[colorType];
  if (depth !== 8 || interlaced !== 0 || channels === undefined || width * height > MAX_PIXELS) return null;
  const stride = width * channels;
  const raw = inflateSync(Buffer.concat(chunks.get("IDAT") ?? []), { maxOutputLength: (stride + 1) * height });
  if (raw.length !== (stride + 1) * height) return null;
  const samples = unfilter(raw, stride, channels, height);
  return { width, height, rgb: toRgb(samples, colorType, channels, chunks.get("PLTE")?.[0]) };
}

function readChunks(bytes: Buffer): Map<string, Buffer[]> {
  const chunks = new Map<string, Buffer[]>();
  for (let at = 8; at + 12 <= bytes.length; ) {
    const size = bytes.readUInt32BE(at);
    const type = bytes.toString("latin1", at + 4, at + 8);
    chunks.set(type, [...(chunks.get(type) ?? []), bytes.subarray(at + 8, at + 8 + size)]);
    at += 12 + size;
  }
  return chunks;
}

/** Undoes what makes rows compress well: each byte is the difference to one that is predicted from its neighbours. */
function unfilter(raw: Buffer, stride: number, channels: number, height: number): Uint8Array {
  const samples = new Uint8Array(stride * height);
  for (let row = 0; row < height; row += 1) {
    const filter = raw[row * (stride + 1)] ?? 0;
    for (let column = 0; column < stride; column += 1) {
      const at = row * stride + column;
      const left = column < channels ? 0 : (samples[at - channels] ?? 0);
      const above = row === 0 ? 0 : (samples[at - stride] ?? 0);
      const corner = row === 0 || column < channels ? 0 : (samples[at - stride - channels] ?? 0);
      samples[at] = (raw[row * (stride + 1) + 1 + column] ?? 0) + predict(filter, left, above, corner);
    }
  }
  return samples;
}

function predict(filter: number, left: number, above: number, corner: number): number {
  if (filter === 1) return left;
  if (filter === 2) return above;
  if (filter === 3) return (left + above) >> 1;
  if (filter !== 4) return 0;
  const estimate = left + above - corner;
  const [toLeft, toAbove, toCorner] = [left, above, corner].map((one) => Math.abs(estimate - one)) as [
    number,
    number,
    number,
  ];
  if (toLeft <= toAbove && toLeft <= toCorner) return left;
  return toAbove <= toCorner ? above : corner;
}

function toRgb(samples: Uint8Array, colorType: number, channels: number, palette: Buffer | undefined): Uint8Array {
  const rgb = new Uint8Array((samples.length / channels) * 3);
  const hasAlpha = colorType === 4 || colorType === 6;
  const isGray = colorType === 0 || colorType === 4;
  for (let from = 0, to = 0; from < samples.length; from += channels, to += 3) {
    const alpha = hasAlpha ? (samples[from + channels - 1] ?? 255) : 255;
    for (let channel = 0; channel < 3; channel += 1) {
      const sample = samples[from + (isGray || palette !== undefined ? 0 : channel)] ?? 0;
      const value = colorType === 3 ? (palette?.[sample * 3 + channel] ?? 0) : sample;
      rgb[to + channel] = Math.round((value * alpha + 255 * (255 - alpha)) / 255);
    }
  }
  return rgb;
}
