/** The API's description: valid OpenAPI 3.1, complete, and with examples that fit their schemas. */
import { describe, expect, it } from "vitest";
import { CAPABILITIES, CHECKPOINT, EVENT_LINES, EXECUTION, SESSION } from "../../../src/front/routes/examples.ts";
import { Capabilities } from "../../../src/protocol/capabilities.ts";
import { Execution } from "../../../src/protocol/rest.ts";
import { Checkpoint, ServerMessage } from "../../../src/protocol/server-message.ts";
import { SessionOverview } from "../../../src/protocol/session-resource.ts";
import { problemOf, testFront } from "../support/front.ts";

const CALLS = [
  "DELETE /api/v1/checkpoints/{id}",
  "DELETE /api/v1/files",
  "DELETE /api/v1/session",
  "DELETE /api/v1/sessions/{session}",
  "GET /api/v1/capabilities",
  "GET /api/v1/checkpoints",
  "GET /api/v1/checkpoints/{id}",
  "GET /api/v1/environments",
  "GET /api/v1/executions",
  "GET /api/v1/executions/{id}",
  "GET /api/v1/executions/{id}/events",
  "GET /api/v1/files",
  "GET /api/v1/files/content",
  "GET /api/v1/session",
  "GET /api/v1/session/tools",
  "GET /api/v1/session/variables",
  "GET /api/v1/sessions",
  "GET /api/v1/sessions/{session}",
  "GET /health",
  "GET /ready",
  "GET /ws/v1/session",
  "POST /api/v1/checkpoint",
  "POST /api/v1/complete",
  "POST /api/v1/execute",
  "POST /api/v1/executions/{id}/cancel",
  "POST /api/v1/executions/{id}/input",
  "POST /api/v1/executions/{id}/tool-results",
  "POST /api/v1/files",
  "POST /api/v1/files/directory",
  "POST /api/v1/files/move",
  "POST /api/v1/is-complete",
  "POST /api/v1/packages",
  "POST /api/v1/restore/{checkpoint_id}",
  "POST /api/v1/session/branch",
  "POST /api/v1/session/interrupt",
  "POST /api/v1/session/reset",
  "POST /api/v1/session/undo",
  "PUT /api/v1/files/content",
  "PUT /api/v1/session/tools",
  "PUT /api/v1/sessions/{session}",
];

interface Media {
  example?: unknown;
  examples?: unknown;
}
interface Operation {
  summary?: string;
  requestBody?: { content: Record<string, Media> };
  responses: Record<string, { content?: Record<string, Media> }>;
}

const describeIt = async () => problemOf(await testFront().fetch("/openapi.json"));

function operations(document: { paths: Record<string, Record<string, Operation>> }): [string, Operation][] {
  return Object.entries(document.paths).flatMap(([path, item]) =>
    Object.entries(item).map(([method, operation]): [string, Operation] => [
      `${method.toUpperCase()} ${path}`,
      operation,
    ]),
  );
}

describe("/openapi.json", () => {
  it("describes every public call and no internal one", async () => {
    const document = await describeIt();
    expect(document.openapi).toMatch(/^3\.1\./);
    expect(
      operations(document)
        .map(([name]) => name)
        .sort(),
    ).toEqual(CALLS);
  });

  it("has a summary, an example for every body and answer, and the problems of each call", async () => {
    for (const [name, operation] of operations(await describeIt())) {
      expect(operation.summary, name).toBeTruthy();
      const contents = [
        operation.requestBody?.content,
        ...Object.values(operation.responses).map((answer) => answer.content),
      ];
      for (const content of contents) {
        for (const [type, media] of Object.entries(content ?? {})) {
          expect(media.example ?? media.examples, `${name} ${type}`).toBeDefined();
        }
      }
      if (name.includes("/api/v1/")) {
        for (const status of ["400", "401", "403", "429"]) expect(operation.responses[status], name).toBeDefined();
      }
    }
  });

  it("shows examples that fit their schemas", () => {
    Execution.strict().parse(EXECUTION);
    Checkpoint.strict().parse(CHECKPOINT);
    SessionOverview.strict().parse(SESSION);
    Capabilities.strict().parse(CAPABILITIES);
    ServerMessage.parse(JSON.parse(EVENT_LINES));
  });
});
