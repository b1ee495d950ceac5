/** A signature holds for one content of one session of one client of one tenant. */
import { expect, it } from "vitest";
import { CheckpointSigner, type Owner, type SignedFields } from "../../../../src/object/store/checkpoint-signature.ts";

const owner = { tenant: "t", clientId: "c" } as Owner;
const fields = { id: "ck_1", session: "s", size: 3, sha256: "00" } as SignedFields;
const signer = new CheckpointSigner("a secret of the service");

it("accepts what it signed, with another signer of the same secret", async () => {
  const signature = await signer.sign(owner, fields);
  expect(signature).toMatch(/^[0-9a-f]{64}$/);
  const later = new CheckpointSigner("a secret of the service");
  expect(await later.isAuthentic(owner, { ...fields, signature })).toBe(true);
});

const forgeries: [string, Partial<Owner>, Partial<SignedFields>][] = [
  ["tenant", { tenant: "u" }, {}],
  ["client", { clientId: "d" as Owner["clientId"] }, {}],
  ["session", {}, { session: "r" as SignedFields["session"] }],
  ["checkpoint", {}, { id: "ck_2" as SignedFields["id"] }],
  ["size", {}, { size: 4 }],
  ["content", {}, { sha256: "01" }],
];

it.each(forgeries)("refuses another %s", async (_what, otherOwner, otherFields) => {
  const signature = await signer.sign(owner, fields);
  const forged = { ...fields, ...otherFields, signature };
  expect(await signer.isAuthentic({ ...owner, ...otherOwner }, forged)).toBe(false);
});

it("refuses another secret, and what is no signature", async () => {
  const signature = await signer.sign(owner, fields);
  expect(await new CheckpointSigner("another").isAuthentic(owner, { ...fields, signature })).toBe(false);
  for (const text of ["", "zz", signature.slice(2), `${signature}00`]) {
    expect(await signer.isAuthentic(owner, { ...fields, signature: text })).toBe(false);
  }
});
