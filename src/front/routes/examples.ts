/** Owns the values that the API's description shows as examples; each fits its schema, which a test checks. */

const at = 1780000000.25;

export const RESULT = {
  id: "0c6d1f6e-77a0-4f3b-8a31-5b8a3d2f9a10",
  type: "result" as const,
  timestamp: at + 0.01,
  execution_id: "run-1",
  value: 42,
  repr: "42",
  execution_time: 0.0004,
  transaction: "committed" as const,
};

export const EXECUTION = {
  execution_id: "run-1",
  session: "default",
  status: "succeeded" as const,
  code: "print('Hello')\n6 * 7",
  transaction_policy: "commit_always" as const,
  timeout: 30,
  submitted_at: at,
  started_at: at + 0.001,
  finished_at: at + 0.01,
  execution_time: 0.0004,
  stdout: "Hello\n",
  stderr: "",
  displays: [],
  displays_truncated: false,
  result: RESULT,
  error: null,
  output_truncated: false,
  waiting_for: null,
  pending_input: null,
  pending_tool_calls: [],
  restored: null,
  first_seq: 1,
  last_seq: 2,
};

export const CHECKPOINT = {
  checkpoint_id: "ck_0a1b2c3d4e5f60718293a4b5c6d7e8f9",
  name: "before the experiment",
  created_at: at,
  size: 2048,
  durable: true,
  skipped: [{ name: "connection", type: "socket", reason: "cannot pickle 'socket' object" }],
};

export const SESSION = {
  client_id: "ada",
  session: "default",
  state: "ready" as const,
  created_at: at,
  last_active_at: at + 5,
  last_seq: 2,
  first_seq: 1,
  running: null,
  queued: 0,
  restored: null,
  pending_input: null,
  pending_tool_calls: [],
  environment: "default",
  env_names: ["API_URL"],
  saved: { at: at + 4, is_current: true },
  undo: [],
  packages: [],
  executions: 1,
  checkpoints: 1,
  sockets: 1,
  memory: { resident_bytes: 12_582_912, limit_bytes: 536_870_912 },
  runner: { id: "runner-1", version: "0.3.0" },
};

export const EVENT_STREAM = [
  "id: 1",
  "event: output",
  'data: {"type":"output","seq":1,"data":{"id":"…","timestamp":1780000000.25,"type":"output","execution_id":"run-1","data":"Hello\\n","stream":"stdout"}}',
  "",
  "",
].join("\n");

export const EVENT_LINES =
  '{"type":"output","seq":1,"data":{"id":"…","timestamp":1780000000.25,"type":"output","execution_id":"run-1","data":"Hello\\n","stream":"stdout"}}\n';

export const CAPABILITIES = {
  version: "0.3.0",
  python: { version: "3.11.2", implementation: "CPython" },
  serializer: { name: "cloudpickle" as const, version: "2.2.0" },
  sandbox: { kind: "bwrap" as const, isolated: true, network: false, seccomp: true, detail: "bubblewrap 0.8.0" },
  packages: { enabled: true },
  egress: { enabled: true, allow: ["api.example.org", "*.example.net:8443"] },
  limits: { memory: { value: 536_870_912, enforced: true, mechanism: "cgroup-v1" } },
  protocol: "v1" as const,
  edge_version: "0.3.0",
  transaction_policies: ["commit_always", "rollback_on_failure", "rollback_always"],
};
