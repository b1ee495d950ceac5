/** Owns the types of the messages that the runner sends to processes of the sandbox (docs/channel.md). */
import type { OfferedTool, ToolFailure } from "../../src/protocol/tool.ts";
import type { FilesRequest } from "./file-message.ts";
import type { InstallStatus } from "./message.ts";

/** Environment variables that the client keeps for the session; null removes one. */
export type SessionEnv = Readonly<Record<string, string | null>>;

/** The tools that an execution may call. */
export interface OfferedTools {
  tools: readonly OfferedTool[];
  max_tool_calls: number;
  max_parallel_tool_calls: number;
}

/** How a tool call ended. */
export type ToolAnswer = { type: "tool_answer"; call_id: string } & (
  | { status: "ok"; value: unknown }
  | { status: "error"; error: ToolFailure }
  | { status: "timed_out" | "cancelled" }
);

/** A message from the runner to a process. */
export type RunnerMessage =
  | { type: "spawn"; token: string; snapshot_token?: string }
  | { type: "spawn_files"; id: string; token: string }
  | FilesRequest
  | { type: "signal"; id: string; pid: number; signal: number }
  | { type: "sweep"; id: string; keep: number[] }
  | { type: "interrupts"; id: string }
  | ({ type: "execute"; execution_id: string; code: string; env?: SessionEnv } & Partial<OfferedTools>)
  | { type: "input_response"; input_id: string; value: string | null }
  | ToolAnswer
  | {
      type: "snapshot";
      id: string;
      token: string;
      drop: number[];
      max_resident_bytes?: number;
      is_resting?: boolean;
    }
  | { type: "reap"; id: string; drop: number[] }
  | { type: "complete"; id: string; code: string; cursor: number }
  | { type: "is_complete"; id: string; code: string }
  | { type: "variables"; id: string }
  | { type: "load"; id: string; clear_existing: boolean }
  | { type: "serialize"; id: string; token: string; max_blob_bytes: number; max_workspace_bytes: number }
  | { type: "install"; id: string; request: InstallerOrder }
  | { type: "install_answer"; install_id: string; status: InstallStatus; detail: string }
  | { type: "response"; status: number; headers: Readonly<Record<string, string>>; problem?: string }
  | { type: "broken"; problem: string }
  | { type: "exit" };

/** The request that an installer reads from its standard input. */
export interface InstallerOrder {
  token: string;
  arguments: readonly string[];
  cwd: string;
  is_quiet: boolean;
  index_url: string;
  hosts: readonly string[];
}
