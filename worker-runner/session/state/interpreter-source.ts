/** Owns where a session's interpreters come from: each in a directory of its own, and whether memory ended anything in it. */
import { join } from "node:path";
import { Interpreter, type InterpreterListener } from "../../interpreter/interpreter.ts";
import type { SessionSettings } from "../session-options.ts";

export class InterpreterSource {
  readonly #sessionId: string;
  readonly #directory: string;
  readonly #settings: SessionSettings;
  readonly #signal: AbortSignal;
  #started = 0;
  #oomKills = 0;

  /** @param signal ends every start under way, and refuses further ones. */
  constructor(sessionId: string, directory: string, settings: SessionSettings, signal: AbortSignal) {
    this.#sessionId = sessionId;
    this.#directory = directory;
    this.#settings = settings;
    this.#signal = signal;
  }

  /** @throws Error where none can be started, or the signal's reason. */
  async start(listener: InterpreterListener): Promise<Interpreter> {
    this.#signal.throwIfAborted();
    const { metrics, interpreter: settings } = this.#settings;
    const startedAt = performance.now();
    this.#started += 1;
    const number = this.#started;
    const options = { ...settings, makeSandboxId: () => `${this.#sessionId}-${number}` };
    try {
      const interpreter = await Interpreter.start(join(this.#directory, `${number}`), options, listener, this.#signal);
      this.#oomKills = 0;
      metrics.sandboxStarted?.((performance.now() - startedAt) / 1000);
      return interpreter;
    } catch (error) {
      metrics.sandboxFailed?.((error as Error).message);
      throw error;
    }
  }

  /** Whether the kernel has ended a process for memory since this was last asked of this interpreter. */
  async hasRunOutOfMemory(interpreter: Interpreter): Promise<boolean> {
    const { oomKills } = await interpreter.memoryStatus();
    const before = this.#oomKills;
    this.#oomKills = oomKills ?? before;
    return this.#oomKills > before;
  }
}
