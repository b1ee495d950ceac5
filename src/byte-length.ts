/** Owns how long a text is in UTF-8, without making the bytes. */

/** Bytes of `text` in UTF-8; a lone surrogate counts as the three bytes of its replacement. */
export function byteLength(text: string): number {
  let bytes = text.length;
  for (let at = 0; at < text.length; at += 1) {
    const unit = text.charCodeAt(at);
    if (unit < 0x80) continue;
    // Two units of a pair make four bytes together: two each.
    bytes += unit < 0x800 || (unit >= 0xd800 && unit <= 0xdfff && isPaired(text, at, unit)) ? 1 : 2;
  }
  return bytes;
}

/** Whether the surrogate at `at` has its other half beside it. */
function isPaired(text: string, at: number, unit: number): boolean {
  const isHigh = unit < 0xdc00;
  const other = text.charCodeAt(isHigh ? at + 1 : at - 1);
  return isHigh ? other >= 0xdc00 && other <= 0xdfff : other >= 0xd800 && other < 0xdc00;
}

/** Whether `text` has more than `maxBytes` bytes; looks at its characters only where that can make a difference. */
export function isLongerThan(text: string, maxBytes: number): boolean {
  if (text.length > maxBytes) return true;
  return text.length * 3 > maxBytes && byteLength(text) > maxBytes;
}
