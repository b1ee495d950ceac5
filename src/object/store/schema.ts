/** Owns the tables of a client's Durable Object; what each row means and how long it lives is told in docs/storage.md. */

const TABLES = `
CREATE TABLE IF NOT EXISTS owner (
  only_row INTEGER PRIMARY KEY CHECK (only_row = 1),
  tenant TEXT NOT NULL,
  client_id TEXT NOT NULL
);
CREATE TABLE IF NOT EXISTS session (
  name TEXT PRIMARY KEY,
  record TEXT NOT NULL
);
CREATE TABLE IF NOT EXISTS execution (
  execution_id TEXT PRIMARY KEY,
  ordinal INTEGER NOT NULL,
  session TEXT NOT NULL,
  status TEXT NOT NULL,
  transaction_policy TEXT NOT NULL,
  timeout REAL NOT NULL,
  submitted_at REAL NOT NULL,
  started_at REAL,
  finished_at REAL,
  first_seq INTEGER,
  last_seq INTEGER,
  code_chars INTEGER NOT NULL,
  code TEXT
);
CREATE UNIQUE INDEX IF NOT EXISTS execution_by_ordinal ON execution (ordinal);
CREATE INDEX IF NOT EXISTS execution_by_session ON execution (session, ordinal);
DROP INDEX IF EXISTS execution_by_last_seq;
CREATE INDEX IF NOT EXISTS execution_running ON execution (session) WHERE status = 'running';
CREATE TABLE IF NOT EXISTS journal (
  session TEXT NOT NULL,
  first_seq INTEGER NOT NULL,
  part INTEGER NOT NULL,
  last_seq INTEGER NOT NULL,
  is_pruned INTEGER NOT NULL,
  size INTEGER NOT NULL,
  heads TEXT NOT NULL,
  frames TEXT NOT NULL
);
CREATE UNIQUE INDEX IF NOT EXISTS journal_by_last_seq ON journal (session, last_seq, part);
CREATE INDEX IF NOT EXISTS journal_by_age ON journal (session, is_pruned, first_seq);
CREATE TABLE IF NOT EXISTS checkpoint (
  checkpoint_id TEXT PRIMARY KEY,
  ordinal INTEGER NOT NULL,
  session TEXT NOT NULL,
  kind TEXT NOT NULL,
  name TEXT,
  created_at REAL NOT NULL,
  size INTEGER NOT NULL,
  sha256 TEXT NOT NULL,
  durable INTEGER NOT NULL,
  skipped TEXT NOT NULL,
  signature TEXT NOT NULL,
  incarnation TEXT NOT NULL
);
CREATE INDEX IF NOT EXISTS checkpoint_by_session ON checkpoint (session, ordinal);
`;

/** Creates what is missing; called whenever the object wakes, and again after everything was deleted. */
export function createTables(sql: SqlStorage): void {
  sql.exec(TABLES);
}
