/** Owns the length of a text in UTF-8, counted without encoding the text. */

/** Bytes of `text` in UTF-8; a lone surrogate counts as the three bytes of its replacement. */
export function byteLength(text: string): number {
  let bytes = text.length;
  for (let at = 0; at < text.length; at += 1) {
    const unit = text.charCodeAt(at);
    if (unit < 0x80) continue;
    // The two units of a surrogate pair make four bytes: two each.
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

/** Whether `text` has more than `maxBytes` bytes. Counts its bytes only if its length does not decide. */
export function isLongerThan(text: string, maxBytes: number): boolean {
  if (text.length > maxBytes) return true;
  return text.length * 3 > maxBytes && byteLength(text) > maxBytes;
}
