/** The golden messages against the zod schemas: each parses, comes back exactly as it was, and none of the contract is left out. */
import { describe, expect, it } from "vitest";
import type { z } from "zod";
import * as branch from "../../src/protocol/branch.ts";
import { Capabilities } from "../../src/protocol/capabilities.ts";
import { ClientMessage } from "../../src/protocol/client-message.ts";
import { ErrorReason, StateAfterError } from "../../src/protocol/event.ts";
import * as file from "../../src/protocol/file.ts";
import * as link from "../../src/protocol/link.ts";
import { PackagesBody } from "../../src/protocol/package.ts";
import { Problem } from "../../src/protocol/problem.ts";
import * as rest from "../../src/protocol/rest.ts";
import {
  Checkpoint,
  Completeness,
  Completions,
  RestoreOutcome,
  ServerMessage,
} from "../../src/protocol/server-message.ts";
import * as resource from "../../src/protocol/session-resource.ts";
import { ToolBindings } from "../../src/protocol/tool.ts";
import { ToolResultsBody, ToolsBody } from "../../src/protocol/tool-body.ts";
import client from "./golden/client.json" with { type: "json" };
import links from "./golden/link.json" with { type: "json" };
import refused from "./golden/refused.json" with { type: "json" };
import rests from "./golden/rest.json" with { type: "json" };
import server from "./golden/server.json" with { type: "json" };

const restSchemas: Record<string, z.ZodType> = {
  ...Object.fromEntries(Object.entries(rest).filter(([name]) => name !== "ExecutionStatus")),
  Capabilities,
  Checkpoint,
  Completeness,
  Completions,
  Problem,
  RestoreOutcome,
  SessionOverview: resource.SessionOverview,
  SessionList: resource.SessionList,
  SessionBody: resource.SessionBody,
  EnvironmentList: resource.EnvironmentList,
  VariableList: resource.VariableList,
  ToolsBody,
  ToolBindings,
  ToolResultsBody,
  FileList: file.FileList,
  FileEntry: file.FileEntry,
  FileWritten: file.FileWritten,
  FilesUploaded: file.FilesUploaded,
  MoveFileBody: file.MoveFileBody,
  DirectoryBody: file.DirectoryBody,
  PackagesBody,
  BranchBody: branch.BranchBody,
  BranchOutcome: branch.BranchOutcome,
  UndoBody: branch.UndoBody,
  UndoOutcome: branch.UndoOutcome,
};
const linkSchemas: Record<string, z.ZodType> = {
  LinkRequest: link.LinkRequest,
  LinkReply: link.LinkReply,
  EventHeader: link.EventHeader,
  Heartbeat: link.Heartbeat,
  Ring: link.Ring,
};

/** `Execution: running` is one more Execution, `LinkReply done` one of the LinkReply messages. */
function schemaFor(schemas: Record<string, z.ZodType>, name: string): z.ZodType {
  const schema = schemas[name.split(/[: ]/)[0] ?? ""];
  if (schema === undefined) throw new Error(`no schema for ${name}`);
  return schema;
}

/** Every `type` that a union of messages has. */
function typesOf(union: { options: readonly { shape: { type: z.ZodLiteral } }[] }): string[] {
  return union.options.map((option) => String(option.shape.type.value)).sort();
}

const typesIn = (messages: Record<string, { type: string }>) =>
  [...new Set(Object.values(messages).map((message) => message.type))].sort();

describe("golden messages", () => {
  it.each(Object.entries(client))("client: %s", (_name, message) => {
    expect(ClientMessage.parse(message)).toStrictEqual(message);
  });
  it.each(Object.entries(server))("server: %s", (_name, message) => {
    expect(ServerMessage.parse(message)).toStrictEqual(message);
  });
  it.each(Object.entries(rests))("REST: %s", (name, body) => {
    expect(schemaFor(restSchemas, name).parse(body)).toStrictEqual(body);
  });
  it.each(Object.entries(links))("link: %s", (name, frame) => {
    expect(schemaFor(linkSchemas, name).parse(frame)).toStrictEqual(frame);
  });
});

describe("the golden set", () => {
  it("has every message", () => {
    expect(typesIn(client)).toEqual(typesOf(ClientMessage));
    expect(typesIn(server)).toEqual(typesOf(ServerMessage));
    const linked = (name: string) =>
      Object.fromEntries(Object.entries(links).filter(([key]) => key.startsWith(name))) as Record<
        string,
        { type: string }
      >;
    expect(typesIn(linked("LinkRequest"))).toEqual(typesOf(link.LinkRequest));
    expect(typesIn(linked("LinkReply"))).toEqual(typesOf(link.LinkReply));
  });

  it("has every REST body, status, error reason and state", () => {
    const bodies = new Set(Object.keys(rests).map((name) => name.split(":")[0]));
    expect([...bodies].sort()).toEqual(Object.keys(restSchemas).sort());
    const statuses = Object.entries(rests).flatMap(([name, body]) =>
      name.startsWith("Execution:") && "status" in body ? [body.status] : [],
    );
    expect(statuses.sort()).toEqual([...rest.ExecutionStatus.options].sort());
    const errors = Object.values(server as Record<string, { type: string; data?: object }>).flatMap((message) =>
      message.type === "error" ? [message.data] : [],
    );
    const found = (key: "reason" | "state") => new Set(errors.map((error) => (error as Record<string, unknown>)[key]));
    expect(found("reason")).toEqual(new Set(ErrorReason.options));
    expect(found("state")).toEqual(new Set(StateAfterError.options));
  });
});

describe("what the contract refuses", () => {
  it.each(refused.client as [string, unknown][])("client: %s", (_name, message) => {
    expect(ClientMessage.safeParse(message).success).toBe(false);
  });
  it.each(refused.server as [string, unknown][])("server: %s", (_name, message) => {
    expect(ServerMessage.safeParse(message).success).toBe(false);
  });
  it.each(refused.rest as [string, string, unknown][])("%s: %s", (name, _what, body) => {
    expect(schemaFor(restSchemas, name).safeParse(body).success).toBe(false);
  });
});

describe("what receivers ignore", () => {
  it("is every field that they do not know", () => {
    for (const message of Object.values(client)) {
      expect(ClientMessage.parse({ ...message, later: { version: 2 } })).toStrictEqual(message);
    }
    for (const message of Object.values(server)) {
      expect(ServerMessage.parse({ ...message, later: 1 })).toStrictEqual(message);
    }
  });
});

describe("the event frame of the link", () => {
  it("carries the client's text unchanged behind its header", () => {
    for (const message of Object.values(server)) {
      if (!("seq" in message)) continue;
      const frame = JSON.stringify(message);
      const bytes = Buffer.byteLength(frame);
      const event = { seq: message.seq ?? 0, type: "output", executionId: 'run "1"\n' as never, frame, bytes } as const;
      for (const startedAt of [undefined, 1780000000.25]) {
        expect(link.decodeEventFrame(link.encodeEventFrame({ ...event, startedAt }))).toEqual({ ...event, startedAt });
      }
    }
    expect(link.decodeEventFrame('{"type":"draining"}')).toBeNull();
  });

  it.each([
    '["E"]\n{}',
    '["E",-1,"output","x",2]\n{}',
    '["E",1,"other","x",2]\n{}',
    '["F",1,"output","x",2]\n{}',
    '["E",1,"output","x"]\n{}',
    '["E",1,"output","x",-2]\n{}',
    '["E",1,"output","x",2,"now"]\n{}',
    "[",
    "[]\n",
  ])("refuses the header of %j", (text) => {
    expect(() => link.decodeEventFrame(text)).toThrow();
  });
});

describe("defaults", () => {
  it("are the seed's", () => {
    expect(ClientMessage.parse({ type: "execute", code: "1" })).toEqual({
      type: "execute",
      code: "1",
      transaction_policy: "commit_always",
    });
    expect(rest.ExecuteBody.parse({ code: "1" })).toEqual({
      code: "1",
      transaction_policy: "commit_always",
    });
    expect(rest.RestoreBody.parse({})).toEqual({ clear_existing: true });
  });
});
