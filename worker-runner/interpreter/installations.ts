/** Owns the installations of packages in one sandbox: one installer at a time, its deadline, its end, and what is installed. */

import type { MessageOf } from "../channel/message.ts";
import { DeadlinePassed, withDeadline } from "../deadline.ts";
import { Installer, type InstallOutcome, type InstallRequest } from "./installer.ts";
import type { Live } from "./live.ts";
import type { PackageIndex } from "./package-index.ts";
import type { SandboxRoom } from "./sandbox-room.ts";

const SIGINT = 2;
const SIGKILL = 9;
/** How long pip may take to remove what it has unpacked, once it was told to stop. */
const GRACE_MS = 2_000;

export class Installations {
  /** What is installed, as pip's requirements. */
  packages: readonly string[] = [];
  readonly #room: SandboxRoom;
  readonly #index: PackageIndex | null;
  readonly #answerDeadlineMs: number;
  /** Resolves once the installer that was started last has ended. */
  #last: Promise<unknown> = Promise.resolve();

  constructor(room: SandboxRoom, index: PackageIndex | null, answerDeadlineMs: number) {
    this.#room = room;
    this.#index = index;
    this.#answerDeadlineMs = answerDeadlineMs;
  }

  /** How much longer loading a blob may take because of the packages that it brings back. */
  get restoreMs(): number {
    return this.#index?.settings.restoreMs ?? 0;
  }

  /** Runs pip in a process of its own, until it ends or the signal fires. It never rejects. */
  async install(request: InstallRequest, signal: AbortSignal): Promise<InstallOutcome> {
    if (this.#index === null) return { status: "disabled", detail: "Installing packages is disabled on this service." };
    const index = this.#index;
    const installed = this.#last.then(() => this.#run(index, request, signal));
    this.#last = installed.catch(() => undefined);
    try {
      return await installed;
    } catch (error) {
      return { status: "failed", detail: `The installation did not end: ${(error as Error).message}.` };
    }
  }

  /** A blob that is being loaded had these packages. */
  async reinstall(live: Live, { install_id, requirements }: MessageOf<"reinstall">): Promise<void> {
    const request = { arguments: ["--no-deps", ...requirements], cwd: "/", isQuiet: true };
    live.answerInstall(install_id, await this.install(request, this.#room.gone));
  }

  async #run(index: PackageIndex, request: InstallRequest, signal: AbortSignal): Promise<InstallOutcome> {
    signal.throwIfAborted();
    const { settings, shownUrl, hosts } = index;
    const limitMs = request.isQuiet ? settings.restoreMs : settings.installMs;
    const { cwd, isQuiet } = request;
    const order = { arguments: request.arguments, cwd, is_quiet: isQuiet, index_url: shownUrl, hosts };
    const installer = await this.#room.admit(
      "installer",
      (token) => this.#room.keeper.install({ token, ...order }),
      (peer) => new Installer(peer, index),
    );
    try {
      const { packages, status, detail } = await withDeadline(installer.done, "installing packages", limitMs, signal);
      this.packages = packages;
      return { status, detail };
    } catch (error) {
      if (!(error instanceof DeadlinePassed)) throw error;
      return { status: "unavailable", detail: `The installation took longer than ${limitMs / 1000} s and was ended.` };
    } finally {
      await this.#end(installer);
    }
  }

  async #end(installer: Installer): Promise<void> {
    try {
      for (const signal of [SIGINT, SIGKILL]) {
        const isThere = await this.#room.keeper.signal(installer.pid, signal, this.#answerDeadlineMs);
        if (!isThere) break;
        await withDeadline(installer.done, "the installer's end", GRACE_MS).catch(() => undefined);
      }
    } catch (error) {
      this.#room.breakDown((error as Error).message);
    } finally {
      installer.disconnect();
    }
  }
}
