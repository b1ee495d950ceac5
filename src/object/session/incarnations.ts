/** Owns which runner holds a session's interpreter: places it, links up to it, notices its loss, ends it. */
import { placeRunner } from "../../fleet/fleet-calls.ts";
import { ProblemError } from "../../problem.ts";
import type { SessionKey } from "../../protocol/link.ts";
import { LinkError, type LinkListener, RunnerLink } from "../runner/runner-link.ts";
import { type Incarnation, RESERVE_STRIDE, type SessionPhase, type SessionRecord } from "../store/session-table.ts";
import type { ClientStores } from "./client-stores.ts";

/** Pauses between attempts to reach a runner that held the session a moment ago. */
const RETRY_PAUSES_MS = [0, 100, 250, 500, 1000, 1500];
const RESUME_DEADLINE_MS = 10_000;
const ATTEMPT_DEADLINE_MS = 4000;
/** A runner under load may have to start an interpreter first. */
const START_DEADLINE_MS = 40_000;
const MAX_PLACEMENTS = 4;

export interface IncarnationHost {
  readonly parts: ClientStores;
  readonly record: SessionRecord;
  readonly listener: LinkListener & {
    creditToOpenWith(): number;
    /** The link can take requests from now on. */
    becameReady(link: RunnerLink, isNew: boolean): void;
  };
  /** Somebody waits for its first interpreter. */
  isClaimed: boolean;
  lastSeq(): number;
  save(): void;
  /** The interpreter is gone with its runner. */
  handleLoss(reason: string): void;
  /** Brings the state of a new interpreter to where the session was, and tells the clients. */
  prepare(link: RunnerLink, incarnation: Incarnation): Promise<void>;
}

const pause = (ms: number) => new Promise<void>((resolve) => setTimeout(resolve, ms));

export class Incarnations {
  readonly #host: IncarnationHost;
  #ready: RunnerLink | null = null;
  #resuming: Promise<RunnerLink | null> | null = null;
  #ensuring: Promise<RunnerLink> | null = null;
  /** While the session is being put to sleep nobody may use its link. */
  #leaving: Promise<void> | null = null;
  #isStarting = false;

  constructor(host: IncarnationHost) {
    this.#host = host;
  }

  /** The link, where it can take requests right now. */
  get ready(): RunnerLink | null {
    return this.#ready?.isOpen ? this.#ready : null;
  }

  /** Links up to the interpreter that there is. @returns null where there is none, or none any more. */
  async resume(): Promise<RunnerLink | null> {
    if (this.ready !== null) return this.ready;
    if (this.#leaving !== null) await this.#leaving;
    if (this.#ensuring !== null) return this.#ensuring;
    this.#resuming ??= this.#resume().finally(() => {
      this.#resuming = null;
    });
    return this.#resuming;
  }

  /** Links up, to a new interpreter where there is none. @throws ProblemError, LinkError. */
  async ensure(): Promise<RunnerLink> {
    if (this.ready !== null) return this.ready;
    this.#ensuring ??= this.#ensure().finally(() => {
      this.#ensuring = null;
    });
    return this.#ensuring;
  }

  /** The link is gone, without our doing. */
  drop(link: RunnerLink): void {
    if (this.#ready === link) this.#ready = null;
  }

  /** Closes the link in peace; whatever the runner has yet to say, it rings for. */
  closeLink(link: RunnerLink): void {
    this.drop(link);
    this.#host.record.isLinked = false;
    this.#host.save();
    link.close();
  }

  /**
   * Ends the interpreter. Nobody gets the link while `before` runs; where that gives false, the session stays as it was.
   *
   * @returns whether the interpreter was ended.
   */
  async leave(phase: SessionPhase, before: (link: RunnerLink | null) => Promise<boolean>): Promise<boolean> {
    await (this.#ensuring ?? this.#resuming)?.catch(() => undefined);
    const link = this.#ready;
    this.#ready = null;
    const left = Promise.withResolvers<void>();
    this.#leaving = left.promise;
    try {
      if (!(await before(link))) {
        if (link?.isOpen) this.#ready = link;
        return false;
      }
      this.#end(phase, link);
      return true;
    } finally {
      this.#leaving = null;
      left.resolve();
    }
  }

  #end(phase: SessionPhase, link: RunnerLink | null): void {
    const { record, parts } = this.#host;
    const { incarnation } = record;
    record.incarnation = null;
    record.phase = phase;
    record.isLinked = false;
    this.#host.save();
    link?.close();
    if (incarnation !== null) parts.ctx.waitUntil(parts.runnerCalls.endSession(incarnation));
  }

  async #ensure(): Promise<RunnerLink> {
    if (this.#leaving !== null) await this.#leaving;
    const resumed = this.ready ?? (await (this.#resuming ?? this.#resume()));
    return resumed ?? this.#start();
  }

  async #resume(): Promise<RunnerLink | null> {
    const { record } = this.#host;
    const { incarnation } = record;
    if (incarnation === null) return null;
    if (record.phase === "starting" && !this.#isStarting) {
      // The object died while it set this one up: nobody knows what state it has.
      this.#end("suspended", null);
      return null;
    }
    const deadline = Date.now() + RESUME_DEADLINE_MS;
    let reason = "runner_lost";
    for (const pauseMs of RETRY_PAUSES_MS) {
      if (Date.now() > deadline) break;
      if (pauseMs > 0) await pause(pauseMs);
      if (record.incarnation !== incarnation) return this.ready;
      try {
        const link = await this.#open(incarnation, false, ATTEMPT_DEADLINE_MS);
        this.#ready = link;
        this.#host.listener.becameReady(link, false);
        return link;
      } catch (error) {
        if (!(error instanceof LinkError)) throw error;
        if (error.fault === "not_found") break;
        reason = "runner_lost";
      }
    }
    if (record.incarnation === incarnation) {
      record.incarnation = null;
      record.phase = "suspended";
      record.isLinked = false;
      this.#host.handleLoss(reason);
    }
    return null;
  }

  async #start(): Promise<RunnerLink> {
    const { record, parts } = this.#host;
    const former = record.phase;
    const refusedBy: string[] = [];
    let refusal: LinkError | null = null;
    this.#isStarting = true;
    try {
      for (let placement = 0; placement < MAX_PLACEMENTS; placement += 1) {
        const placed = await placeRunner(parts.env, `${parts.ctx.id}:${record.name}`, refusedBy);
        if (typeof placed === "string") {
          if (placed === "full") refusal ??= new LinkError("pool_exhausted", "Every runner is full.");
          break;
        }
        refusedBy.push(placed.id);
        const incarnation: Incarnation = {
          key: newKey(),
          runnerId: placed.id,
          runnerUrl: placed.url,
          runnerVersion: "",
        };
        record.phase = "starting";
        record.incarnation = incarnation;
        let link: RunnerLink;
        try {
          link = await this.#open(incarnation, true, START_DEADLINE_MS);
        } catch (error) {
          record.phase = former;
          record.incarnation = null;
          this.#host.save();
          if (!(error instanceof LinkError)) throw error;
          if (error.fault === "late") parts.ctx.waitUntil(parts.runnerCalls.endSession(incarnation));
          refusal = error;
          continue;
        }
        try {
          await this.#host.prepare(link, incarnation);
        } catch (error) {
          this.#end(former, link);
          throw error;
        }
        record.phase = "live";
        this.#host.isClaimed = false;
        this.#host.save();
        this.#ready = link;
        this.#host.listener.becameReady(link, true);
        return link;
      }
    } finally {
      this.#isStarting = false;
    }
    this.#host.isClaimed = false;
    throw refusal ?? new ProblemError({ code: "no_runner", detail: "No runner is available.", retryAfter: 5 });
  }

  async #open(incarnation: Incarnation, isNew: boolean, openDeadlineMs: number): Promise<RunnerLink> {
    const { record, parts, listener } = this.#host;
    const base = record.reservedSeq;
    if (isNew) record.reservedSeq += RESERVE_STRIDE;
    record.isLinked = true;
    // Written before the runner hears of it, so that whatever it numbers is known to be taken.
    this.#host.save();
    return RunnerLink.open({
      url: incarnation.runnerUrl,
      key: incarnation.key,
      token: parts.settings.RUNNER_TOKEN,
      open: {
        session: record.name,
        after: isNew ? base : this.#host.lastSeq(),
        base,
        create: isNew,
        credit: listener.creditToOpenWith(),
        object: parts.ctx.id.toString(),
      },
      openDeadlineMs,
      idleMs: parts.settings.LINK_IDLE_SECONDS * 1000,
      listener,
    });
  }
}

/** Unguessable, never used again. */
function newKey(): SessionKey {
  return `s_${crypto.randomUUID().replaceAll("-", "")}` as SessionKey;
}
