/** Owns when a session stores its state by itself: after each quiet time, but in at most a twentieth of the session's time. */

import { edgeMetrics } from "../../metrics.ts";
import type { RunnerLink } from "../runner/runner-link.ts";
import type { Checkpointing } from "./checkpointing.ts";
import { logFailure } from "./client-stores.ts";
import type { Incarnations } from "./incarnations.ts";
import { isSaveDue, noteSaved, noteSaveFailed } from "./save-backoff.ts";
import type { SessionContext } from "./session-context.ts";

/** Storing takes at most this share of a session's time. */
const SAVE_SHARE = 20;
/** The part of each save that does not count, so that a small state is stored after every quiet time. */
const FREE_SAVE_MS = 100;

export class Autosave {
  readonly #context: SessionContext;
  readonly #incarnations: Incarnations;
  readonly #checkpointing: Checkpointing;
  #notBeforeMs = 0;
  #isSaving = false;
  /** Runs until the next save. The open link keeps the object in memory for that long. */
  #timer: ReturnType<typeof setTimeout> | null = null;

  constructor(context: SessionContext, incarnations: Incarnations, checkpointing: Checkpointing) {
    this.#context = context;
    this.#incarnations = incarnations;
    this.#checkpointing = checkpointing;
  }

  get isSaving(): boolean {
    return this.#isSaving;
  }

  /** Work has ended: the state is stored after the quiet time, or as soon as the share of time allows it. */
  schedule(): void {
    const seconds = this.#context.stores.settings.AUTOSAVE_SECONDS;
    if (seconds > 0) this.#saveAt(Date.now() + seconds * 1000);
  }

  /** Stores the state now, or as soon as the share of time allows it. */
  saveSoon(): void {
    this.#saveAt(Date.now());
  }

  /** Stores the state. @returns false if that failed; the next attempt comes later each time. */
  async save(link: RunnerLink): Promise<boolean> {
    const { record } = this.#context;
    let isSaved = false;
    try {
      isSaved = (await this.#checkpointing.take(link, "automatic", null)).durable;
    } catch (error) {
      // Without a link nothing is known about the state; the loss of the runner is handled elsewhere.
      if (!link.isOpen) throw error;
      logFailure(error);
    }
    edgeMetrics.checkpoints.add({ outcome: isSaved ? "stored" : "failed" });
    if (isSaved) noteSaved(record);
    else noteSaveFailed(record);
    this.#context.save();
    return isSaved;
  }

  #saveAt(wantedMs: number): void {
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = null;
    const waitMs = Math.max(wantedMs, this.#notBeforeMs) - Date.now();
    if (waitMs <= 0) this.#saveQuietly();
    else this.#timer = setTimeout(() => this.#saveQuietly(), waitMs);
  }

  /** Stores the state from the session's copy, so that code can run meanwhile. Does nothing if nothing changed. */
  #saveQuietly(): void {
    this.#timer = null;
    const { record, stores, unfinishedCount } = this.#context;
    const link = this.#incarnations.ready;
    if (link === null || unfinishedCount > 0 || !record.isDirty || !isSaveDue(record) || this.#isSaving) return;
    this.#isSaving = true;
    stores.inBackground(
      this.#saveAndTell(link).finally(() => {
        this.#isSaving = false;
        // Code that ran during the save has changed the state, and the time to store that came before the save had ended.
        if (record.isDirty && this.#timer === null && isSaveDue(record)) this.schedule();
      }),
    );
  }

  async #saveAndTell(link: RunnerLink): Promise<void> {
    const startedMs = Date.now();
    if (!(await this.save(link))) return;
    this.#notBeforeMs = Date.now() + Math.max(0, Date.now() - startedMs - FREE_SAVE_MS) * SAVE_SHARE;
    const { record, unfinishedCount } = this.#context;
    if (record.phase !== "live") return;
    const saved = { at: Date.now() / 1000, is_current: !record.isDirty };
    this.#context.announce({ state: unfinishedCount > 0 ? "busy" : "ready", reason: "saved", saved });
  }
}
