/** Owns how much output of an execution a client gets that does not acknowledge, and the notice of the rest. */
import { type EventType, isTerminal } from "../../protocol/event.ts";
import type { JournalEvent } from "../store/journal-row.ts";
import { type Budget, type ClientSocket, newBudget } from "./client-socket.ts";
import { droppedBytesOf, TRUNCATED_UNACKNOWLEDGED, textBytesOf, truncatedFrame } from "./edge-frames.ts";

const isOutput = (type: EventType) => type === "output" || type === "display" || type === "clear_output";

export class OutputBudgets {
  readonly #maxBytes: number;
  readonly #journalMaxBytes: number;

  /** @param maxBytes of output for each execution. @param journalMaxBytes of one session's events that the journal keeps. */
  constructor(maxBytes: number, journalMaxBytes: number) {
    this.#maxBytes = maxBytes;
    this.#journalMaxBytes = journalMaxBytes;
  }

  /** Whether the event fits into the budget that the socket has for its execution. */
  allowsLive(socket: ClientSocket, event: JournalEvent): boolean {
    const { budgets } = socket.state;
    const budget = budgets[event.executionId] ?? newBudget();
    if (isOutput(event.type) || event.type === "output_truncated") budgets[event.executionId] = budget;
    else if (isTerminal(event.type)) delete budgets[event.executionId];
    return this.allows(socket, event, budget);
  }

  /** Whether the budget allows the event. Before an ending, tells the client how much was withheld. */
  allows(socket: ClientSocket, event: JournalEvent, budget: Budget): boolean {
    if (isOutput(event.type)) {
      budget.used += textBytesOf(event);
      // After the first withheld event everything is withheld: a cut is clearer than a hole in the middle.
      if (budget.dropped === 0 && budget.used <= this.#maxBytes) return true;
      budget.dropped += textBytesOf(event);
      budget.droppedSeq = event.seq;
      return false;
    }
    if (event.type === "output_truncated" && budget.used + this.#journalMaxBytes > this.#maxBytes) {
      // The runner left out the middle. Of the end that follows this socket gets nothing either, so one notice tells of both.
      budget.dropped += droppedBytesOf(event);
      budget.droppedSeq = event.seq;
      return false;
    }
    if (isTerminal(event.type) && budget.dropped > 0) {
      socket.send(truncatedFrame(budget.droppedSeq, event.executionId, budget.dropped, TRUNCATED_UNACKNOWLEDGED));
    }
    return true;
  }
}
