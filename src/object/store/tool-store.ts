/** Owns the rows about tools: the tools of each session and of each unfinished execution, and answers on their way to the runner. */
import type { ExecutionId, SessionName } from "../../protocol/identity.ts";
import type { OfferedTool, ToolResult } from "../../protocol/tool.ts";

/** The tools of one execution, its session's among them. */
export interface ExecutionTools {
  tools: OfferedTool[];
  max_tool_calls?: number | undefined;
  max_parallel_tool_calls?: number | undefined;
}

/** An answer that the runner may not have. */
export interface StoredAnswer {
  executionId: ExecutionId;
  result: ToolResult;
}

/** SQLite in a Durable Object takes 2 MB a row, of up to 3 bytes a character. */
const PART_MAX_CHARS = 512 * 1024;

export class ToolStore {
  readonly #sql: SqlStorage;
  readonly #ofSession = new Map<SessionName, OfferedTool[]>();
  readonly #ofExecution = new Map<ExecutionId, ExecutionTools>();
  /** Calls whose answers are in SQLite. */
  readonly #answered = new Set<string>();

  constructor(sql: SqlStorage) {
    this.#sql = sql;
    for (const row of sql.exec<{ session: string; tools: string }>("SELECT session, tools FROM session_tools")) {
      this.#ofSession.set(row.session as SessionName, JSON.parse(row.tools) as OfferedTool[]);
    }
    for (const row of sql.exec<{ execution_id: string; tools: string }>(
      "SELECT execution_id, tools FROM execution_tools",
    )) {
      this.#ofExecution.set(row.execution_id as ExecutionId, JSON.parse(row.tools) as ExecutionTools);
    }
    for (const row of sql.exec<{ call_id: string }>("SELECT DISTINCT call_id FROM tool_answer")) {
      this.#answered.add(row.call_id);
    }
  }

  ofSession(session: SessionName): readonly OfferedTool[] {
    return this.#ofSession.get(session) ?? [];
  }

  setOfSession(session: SessionName, tools: OfferedTool[]): void {
    if (tools.length === 0) {
      this.#ofSession.delete(session);
      this.#sql.exec("DELETE FROM session_tools WHERE session = ?", session);
      return;
    }
    this.#ofSession.set(session, tools);
    this.#sql.exec(
      "INSERT OR REPLACE INTO session_tools (session, tools) VALUES (?, ?)",
      session,
      JSON.stringify(tools),
    );
  }

  ofExecution(id: ExecutionId): ExecutionTools | null {
    return this.#ofExecution.get(id) ?? null;
  }

  /** Keeps the tools of an execution until it ends, so that another link can be sent them. */
  setOfExecution(session: SessionName, id: ExecutionId, tools: ExecutionTools): void {
    this.#ofExecution.set(id, tools);
    this.#sql.exec(
      "INSERT OR REPLACE INTO execution_tools (execution_id, session, tools) VALUES (?, ?, ?)",
      id,
      session,
      JSON.stringify(tools),
    );
  }

  isAnswered(callId: string): boolean {
    return this.#answered.has(callId);
  }

  saveAnswer(session: SessionName, executionId: ExecutionId, result: ToolResult): void {
    const text = JSON.stringify(result);
    this.#answered.add(result.call_id);
    for (let part = 0; part * PART_MAX_CHARS < text.length; part += 1) {
      this.#sql.exec(
        "INSERT OR REPLACE INTO tool_answer (call_id, part, session, execution_id, answer) VALUES (?, ?, ?, ?, ?)",
        result.call_id,
        part,
        session,
        executionId,
        text.slice(part * PART_MAX_CHARS, (part + 1) * PART_MAX_CHARS),
      );
    }
  }

  /** The answers of a session that its runner may not have. */
  answersOf(session: SessionName): StoredAnswer[] {
    if (this.#answered.size === 0) return [];
    const texts = new Map<string, { executionId: ExecutionId; text: string }>();
    for (const row of this.#sql.exec<{ call_id: string; execution_id: string; answer: string }>(
      "SELECT call_id, execution_id, answer FROM tool_answer WHERE session = ? ORDER BY call_id, part",
      session,
    )) {
      const text = (texts.get(row.call_id)?.text ?? "") + row.answer;
      texts.set(row.call_id, { executionId: row.execution_id as ExecutionId, text });
    }
    return [...texts.values()].map(({ executionId, text }) => ({
      executionId,
      result: JSON.parse(text) as ToolResult,
    }));
  }

  /** The runner has the answer, or the call is over. */
  forgetAnswer(callId: string): void {
    if (this.#answered.delete(callId)) this.#sql.exec("DELETE FROM tool_answer WHERE call_id = ?", callId);
  }

  /** The execution has ended. */
  forgetExecution(id: ExecutionId): void {
    if (this.#ofExecution.delete(id)) this.#sql.exec("DELETE FROM execution_tools WHERE execution_id = ?", id);
  }

  /** Deletes everything of a session. */
  clear(session: SessionName): void {
    this.setOfSession(session, []);
    for (const { result } of this.answersOf(session)) this.forgetAnswer(result.call_id);
    for (const row of this.#sql.exec<{ execution_id: string }>(
      "DELETE FROM execution_tools WHERE session = ? RETURNING execution_id",
      session,
    )) {
      this.#ofExecution.delete(row.execution_id as ExecutionId);
    }
  }
}
