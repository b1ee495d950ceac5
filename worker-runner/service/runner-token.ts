/** Owns checking the secret that edge and runner share, in constant time. */
import { createHash, timingSafeEqual } from "node:crypto";

/** Makes a check for `Authorization` headers. The comparison needs values of equal length, so it compares hashes. */
export function createTokenCheck(token: string): (authorization: string | undefined) => boolean {
  const digest = (text: string) => createHash("sha256").update(text).digest();
  const expected = digest(`Bearer ${token}`);
  return (authorization) => timingSafeEqual(digest(authorization ?? ""), expected);
}
