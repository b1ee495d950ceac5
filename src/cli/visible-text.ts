/** Owns text that code or another client has named, such as a file: a terminal shows it and does not obey it. */

/** The text with each control character written as its code. */
export function visibleText(text: string): string {
  return text.replace(
    /\p{Cc}|[\u202a-\u202e\u2066-\u2069]/gu,
    (one) => `\\u${one.charCodeAt(0).toString(16).padStart(4, "0")}`,
  );
}
