/** Owns starting a session's interpreters, each in its own directory, and noticing when one has run out of memory. */
import { join } from "node:path";
import { Interpreter, type InterpreterListener } from "../../interpreter/interpreter.ts";
import type { SessionSettings } from "../session-options.ts";

export class InterpreterSource {
  readonly #sessionId: string;
  readonly #directory: string;
  readonly #settings: SessionSettings;
  readonly #listener: InterpreterListener;
  readonly #signal: AbortSignal;
  #started = 0;
  #oomKills = 0;

  /** @param signal aborts a start that is under way, and refuses later ones. */
  constructor(
    sessionId: string,
    directory: string,
    settings: SessionSettings,
    listener: InterpreterListener,
    signal: AbortSignal,
  ) {
    this.#sessionId = sessionId;
    this.#directory = directory;
    this.#settings = settings;
    this.#listener = listener;
    this.#signal = signal;
  }

  /** @throws Error if none can be started, or the signal's reason. */
  async start(): Promise<Interpreter> {
    this.#signal.throwIfAborted();
    const { metrics, interpreter: settings } = this.#settings;
    const startedAt = performance.now();
    this.#started += 1;
    const number = this.#started;
    const options = { ...settings, makeSandboxId: () => `${this.#sessionId}-${number}` };
    try {
      const interpreter = await Interpreter.start(
        join(this.#directory, `${number}`),
        options,
        this.#listener,
        this.#signal,
      );
      this.#oomKills = 0;
      metrics.sandboxStarted?.((performance.now() - startedAt) / 1000);
      return interpreter;
    } catch (error) {
      metrics.sandboxFailed?.((error as Error).message);
      throw error;
    }
  }

  /** Whether the kernel has killed a process of this interpreter for memory since the last call. */
  async hasRunOutOfMemory(interpreter: Interpreter): Promise<boolean> {
    const { oomKills } = await interpreter.memoryStatus();
    const before = this.#oomKills;
    this.#oomKills = oomKills ?? before;
    return this.#oomKills > before;
  }
}
