/** Owns the two ways to count in a text: JavaScript's UTF-16 units, and the contract's code points. */

/** Code points before a position in UTF-16 units. */
export function codePointsBefore(text: string, position: number): number {
  return Array.from(text.slice(0, position)).length;
}

/** Converts a count of code points to a position in UTF-16 units. */
export function positionAfter(text: string, codePoints: number): number {
  return Array.from(text).slice(0, codePoints).join("").length;
}
