/** Owns checking the secret that edge and runner share, in a time that says nothing about it. */
import { createHash, timingSafeEqual } from "node:crypto";

/** A check for `Authorization` headers. Hashing first makes the lengths equal, which the comparison needs. */
export function createTokenCheck(token: string): (authorization: string | undefined) => boolean {
  const digest = (text: string) => createHash("sha256").update(text).digest();
  const expected = digest(`Bearer ${token}`);
  return (authorization) => timingSafeEqual(digest(authorization ?? ""), expected);
}
