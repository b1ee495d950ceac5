/** Owns the environment variables of a session: their values in memory and encrypted at rest, and how they reach the interpreter. */
import { byteLength } from "../../byte-length.ts";
import { ProblemError } from "../../problem.ts";
import type { EnvPatch } from "../../protocol/session-resource.ts";
import type { RunnerLink } from "../runner/runner-link.ts";
import type { SessionContext } from "./session-context.ts";

/** Names and values together, in UTF-8. */
const MAX_BYTES = 64 * 1024;
const IV_BYTES = 12;

export class SessionEnv {
  readonly #context: SessionContext;
  /** Null until it was decrypted. */
  #values: Readonly<Record<string, string>> | null = null;
  #key: Promise<CryptoKey> | null = null;

  constructor(context: SessionContext) {
    this.#context = context;
  }

  /** Decrypts the values, before a link opens that needs them. */
  async load(): Promise<void> {
    if (this.#values !== null) return;
    const { env } = this.#context.record;
    this.#values = env === null ? {} : await this.#open(env.sealed);
  }

  /** Sets and removes variables; the next execution finds them so. @throws ProblemError `invalid_request` beyond 64 KiB. */
  async change(patch: EnvPatch): Promise<void> {
    await this.load();
    const values: Record<string, string> = { ...this.#values };
    for (const [name, value] of Object.entries(patch)) {
      if (value === null) delete values[name];
      else values[name] = value;
    }
    const bytes = Object.entries(values).reduce((sum, [name, value]) => sum + name.length + byteLength(value), 0);
    if (bytes > MAX_BYTES) {
      const message = `must have at most ${MAX_BYTES} bytes in all`;
      throw new ProblemError({
        code: "invalid_request",
        detail: `The environment variables ${message}.`,
        errors: [{ path: "env", message }],
      });
    }
    const { record } = this.#context;
    const names = Object.keys(values).sort();
    record.env = { names, sealed: await this.#seal(values) };
    this.#values = values;
    this.#context.save();
  }

  /** Takes over all variables of another session. */
  async copyFrom(other: SessionEnv): Promise<void> {
    await other.load();
    this.clear();
    if (other.#context.record.env !== null) await this.change(other.#values ?? {});
  }

  /** Forgets every variable. */
  clear(): void {
    this.#context.record.env = null;
    this.#values = {};
  }

  /** Sends the values to the runner, before the executions that must find them. */
  tell(link: RunnerLink | null): void {
    if (this.#context.record.env !== null && this.#values !== null) link?.tell({ type: "env", values: this.#values });
  }

  async #seal(values: Readonly<Record<string, string>>): Promise<string> {
    const iv = crypto.getRandomValues(new Uint8Array(IV_BYTES));
    const plain = new TextEncoder().encode(JSON.stringify(values));
    const sealed = await crypto.subtle.encrypt(this.#parameters(iv), await this.#secret(), plain);
    return [iv, new Uint8Array(sealed)].map((bytes) => toHex(bytes)).join(".");
  }

  async #open(sealed: string): Promise<Record<string, string>> {
    const [iv = "", text = ""] = sealed.split(".");
    const parameters = this.#parameters(fromHex(iv));
    const plain = await crypto.subtle.decrypt(parameters, await this.#secret(), fromHex(text));
    return JSON.parse(new TextDecoder().decode(plain)) as Record<string, string>;
  }

  /** The session's name is sealed in: values of one session cannot stand in another's place. */
  #parameters(iv: Uint8Array): {
    name: string;
    iv: Uint8Array;
    additionalData: Uint8Array;
  } {
    return { name: "AES-GCM", iv, additionalData: new TextEncoder().encode(this.#context.record.name) };
  }

  #secret(): Promise<CryptoKey> {
    this.#key ??= this.#deriveKey();
    return this.#key;
  }

  async #deriveKey(): Promise<CryptoKey> {
    const { settings, ctx } = this.#context.stores;
    const encoder = new TextEncoder();
    const secret = await crypto.subtle.importKey("raw", encoder.encode(settings.CHECKPOINT_KEY), "HKDF", false, [
      "deriveKey",
    ]);
    const derivation = {
      name: "HKDF",
      hash: "SHA-256",
      salt: encoder.encode(ctx.id.toString()),
      info: encoder.encode("pyrepl3 session env"),
    };
    return crypto.subtle.deriveKey(derivation, secret, { name: "AES-GCM", length: 256 }, false, ["encrypt", "decrypt"]);
  }
}

function toHex(bytes: Uint8Array): string {
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}

function fromHex(text: string): Uint8Array {
  return Uint8Array.from({ length: text.length / 2 }, (_, index) =>
    Number.parseInt(text.slice(2 * index, 2 * index + 2), 16),
  );
}
