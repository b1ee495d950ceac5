/** Owns the signature of a checkpoint: it ties the content of a blob to one tenant, client and session. */
import type { CheckpointId, ClientId, SessionName } from "../../protocol/identity.ts";

/** Whose checkpoints these are; part of every signature. */
export interface Owner {
  tenant: string;
  clientId: ClientId;
}

/** What is signed beside the owner. */
export interface SignedFields {
  id: CheckpointId;
  session: SessionName;
  /** Bytes of the blob. */
  size: number;
  /** Of the blob, in hexadecimal digits. */
  sha256: string;
}

const encoder = new TextEncoder();

export class CheckpointSigner {
  readonly #secret: string;
  #key: Promise<CryptoKey> | null = null;

  /** @param secret `CHECKPOINT_KEY`. */
  constructor(secret: string) {
    this.#secret = secret;
  }

  /** Returns the signature in hexadecimal digits. */
  async sign(owner: Owner, fields: SignedFields): Promise<string> {
    const mac = await crypto.subtle.sign("HMAC", await this.#hmacKey(), signedText(owner, fields));
    return [...new Uint8Array(mac)].map((byte) => byte.toString(16).padStart(2, "0")).join("");
  }

  /** Says whether `signature` was made by this key over these very fields. */
  async isAuthentic(owner: Owner, { signature, ...fields }: SignedFields & { signature: string }): Promise<boolean> {
    const mac = Uint8Array.from(signature.match(/../g) ?? [], (pair) => Number.parseInt(pair, 16));
    return crypto.subtle.verify("HMAC", await this.#hmacKey(), mac, signedText(owner, fields));
  }

  #hmacKey(): Promise<CryptoKey> {
    this.#key ??= crypto.subtle.importKey(
      "raw",
      encoder.encode(this.#secret),
      { name: "HMAC", hash: "SHA-256" },
      false,
      ["sign", "verify"],
    );
    return this.#key;
  }
}

function signedText(owner: Owner, { id, session, size, sha256 }: SignedFields): Uint8Array {
  return encoder.encode(JSON.stringify([owner.tenant, owner.clientId, session, id, size, sha256]));
}
