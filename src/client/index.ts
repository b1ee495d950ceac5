/** Owns what the SDK offers: `connect` and the types around it, for browsers, Node and Workers. */
export { Client, type ClientOptions } from "./client.ts";
export { ClientError, type ClientErrorCode, PythonError } from "./client-error.ts";
export type { ConnectionState } from "./connection.ts";
export type { SocketConstructor } from "./endpoint.ts";
export type { FileContent, Files, ReadOptions, WriteOptions } from "./files.ts";
export type { Display, Failure, Outcome } from "./outcome.ts";
export type { Run } from "./run.ts";
export type { InputRequest, ResumeSettings, RunSettings, Tool, ToolFunction, Tools } from "./run-options.ts";
export type { Transaction } from "./transaction.ts";
export type { RunEvent } from "./wire.ts";

import { Client, type ClientOptions } from "./client.ts";

/**
 * A client of one session. It connects when it is first used, and again by itself whenever the connection breaks.
 *
 * @example
 * const python = connect({ url: "http://127.0.0.1:8787", clientId: "ada" });
 * const { value, stdout } = await python.run("print('Hello'); 6 * 7");
 * python.close();
 */
export function connect(options: ClientOptions): Client {
  return new Client(options);
}
