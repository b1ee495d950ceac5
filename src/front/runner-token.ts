/** Owns the comparison of the secret that edge and runners share. */

/** True if the request carries `secret` as its bearer token. The comparison takes the same time for every token. */
export async function hasBearer(request: Request, secret: string): Promise<boolean> {
  const authorization = request.headers.get("authorization") ?? "";
  const given = /^Bearer +(\S+)$/i.exec(authorization)?.[1] ?? "";
  const digest = (text: string) => crypto.subtle.digest("SHA-256", new TextEncoder().encode(text));
  const [left, right] = await Promise.all([digest(given), digest(secret)]);
  return crypto.subtle.timingSafeEqual(left, right);
}
