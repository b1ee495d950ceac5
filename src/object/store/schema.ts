/** Owns the tables of a client's Durable Object. docs/storage.md says what each row means and how long it is kept. */

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
  code_bytes INTEGER NOT NULL,
  code TEXT,
  report_files INTEGER NOT NULL DEFAULT 0
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
CREATE TABLE IF NOT EXISTS scrub (
  zeros BLOB NOT NULL
);
CREATE TABLE IF NOT EXISTS pack (
  pack_id TEXT PRIMARY KEY,
  size INTEGER NOT NULL
);
CREATE TABLE IF NOT EXISTS pack_use (
  pack_id TEXT NOT NULL,
  checkpoint_id TEXT NOT NULL,
  PRIMARY KEY (pack_id, checkpoint_id)
);
CREATE INDEX IF NOT EXISTS pack_use_by_checkpoint ON pack_use (checkpoint_id);
CREATE TABLE IF NOT EXISTS checkpoint_content (
  checkpoint_id TEXT PRIMARY KEY,
  session TEXT NOT NULL,
  ordinal INTEGER NOT NULL,
  pieces TEXT NOT NULL
);
CREATE INDEX IF NOT EXISTS checkpoint_content_by_session ON checkpoint_content (session, ordinal);
CREATE TABLE IF NOT EXISTS session_tools (
  session TEXT PRIMARY KEY,
  tools TEXT NOT NULL
);
CREATE TABLE IF NOT EXISTS execution_tools (
  execution_id TEXT PRIMARY KEY,
  session TEXT NOT NULL,
  tools TEXT NOT NULL
);
CREATE TABLE IF NOT EXISTS tool_answer (
  call_id TEXT NOT NULL,
  part INTEGER NOT NULL,
  session TEXT NOT NULL,
  execution_id TEXT NOT NULL,
  answer TEXT NOT NULL,
  PRIMARY KEY (call_id, part)
);
CREATE INDEX IF NOT EXISTS checkpoint_by_session ON checkpoint (session, ordinal);
`;

/** Creates missing tables. Called when the object starts, and again after everything was deleted. */
export function createTables(sql: SqlStorage): void {
  // Objects of version 0.3 have one column under its former name, and lack another one.
  const columns = sql.exec<{ name: string }>("PRAGMA table_info(execution)").toArray();
  if (columns.some(({ name }) => name === "code_chars")) {
    sql.exec("ALTER TABLE execution RENAME COLUMN code_chars TO code_bytes");
  }
  if (columns.length > 0 && !columns.some(({ name }) => name === "report_files")) {
    sql.exec("ALTER TABLE execution ADD COLUMN report_files INTEGER NOT NULL DEFAULT 0");
  }
  sql.exec(TABLES);
}

const INDEXES = [...TABLES.matchAll(/CREATE (?:UNIQUE )?INDEX IF NOT EXISTS (\w+)/g)].map(([, name]) => name);
const TABLE_NAMES = [...TABLES.matchAll(/CREATE TABLE IF NOT EXISTS (\w+)/g)].map(([, name]) => name);

/** Frees the pages of the indexes; `createTables` brings them back. */
export function dropIndexes(sql: SqlStorage): void {
  for (const name of INDEXES) sql.exec(`DROP INDEX IF EXISTS ${name}`);
}

/** Writes every table anew, while its indexes are dropped. Then the pages of the former tables, which hold deleted data, are free. */
export function rewriteTables(sql: SqlStorage): void {
  // Named, because a column that was added to an old table stands at its end.
  const columnsOf = new Map(
    TABLE_NAMES.map((name) => {
      const columns = sql.exec<{ name: string }>(`PRAGMA table_info(${name})`).toArray();
      return [name, columns.map((column) => column.name).join()];
    }),
  );
  for (const name of TABLE_NAMES) sql.exec(`ALTER TABLE ${name} RENAME TO former_${name}`);
  createTables(sql);
  for (const [name, columns] of columnsOf) {
    sql.exec(`INSERT INTO ${name} (${columns}) SELECT ${columns} FROM former_${name}`);
  }
  // Last, so that no new table takes a page of a former one.
  for (const name of TABLE_NAMES) sql.exec(`DROP TABLE former_${name}`);
}
