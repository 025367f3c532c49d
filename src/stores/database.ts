import { CamelCasePlugin, Kysely, PostgresDialect, sql } from 'kysely';
import pg from 'pg';
import { pipelined } from './pipelined-pool.js';

export interface DatabaseOptions {
  readonly url: string;
  /** Shown in pg_stat_activity, so that an operator sees whose connection it is. */
  readonly applicationName: string;
  /** Connections at most. Higher serves more activities at once; each costs the server about 10 MB. */
  readonly maxConnections?: number;
  readonly statementTimeoutMs?: number;
}

// int8 and numeric are counts and amounts below 2^53 here, so numbers are exact and easier to use than strings.
pg.types.setTypeParser(pg.types.builtins.INT8, Number);
pg.types.setTypeParser(pg.types.builtins.NUMERIC, Number);

/** Opens a pool on one database. Lost connections are replaced on the next use; nothing is thrown in the background. */
export function openDatabase<Schema>(options: DatabaseOptions): Kysely<Schema> {
  const { statementTimeoutMs = 10_000 } = options;
  const pool = new pg.Pool({
    connectionString: options.url,
    application_name: options.applicationName,
    max: options.maxConnections ?? 20,
    statement_timeout: statementTimeoutMs,
    // A connection may be lost without a signal: then only the client can end the statement, and the connection with it.
    query_timeout: statementTimeoutMs + 2_000,
    idle_in_transaction_session_timeout: 30_000,
    connectionTimeoutMillis: 10_000,
    keepAlive: true,
    // Opening a connection costs more than a whole formation, so idle ones are kept for some minutes.
    idleTimeoutMillis: 300_000,
    pipeline: true,
    // Our queries take milliseconds; starting parallel workers for one costs more than it saves.
    options: '-c max_parallel_workers_per_gather=0 -c jit=off',
  });
  // An idle client whose server died emits 'error' on the pool; unhandled, it would end the process.
  pool.on('error', () => undefined);
  // A client in use emits 'error' on itself; its next statement fails, and the caller handles that.
  pool.on('connect', (client) => client.on('error', () => undefined));
  return new Kysely<Schema>({
    dialect: new PostgresDialect({ pool: pipelined(pool) }),
    // Columns are snake_case in SQL and camelCase in the builder and in rows, those of raw statements too. The content of
    // jsonb columns is returned unchanged.
    plugins: [new CamelCasePlugin({ maintainNestedObjectKeys: true })],
  });
}

/** Asks a database for a sign of life. @throws when it gives none. */
export async function ping<Schema>(db: Kysely<Schema>): Promise<void> {
  await sql`select 1`.execute(db);
}

/**
 * Runs a transaction, which may be one statement, again when PostgreSQL ended it for a reason that a second try removes:
 * serialization failure (40001) or deadlock (40P01). Locks are taken in one order, but not by every statement that touches
 * the same rows.
 */
export async function retryOnDeadlock<Result>(run: () => Promise<Result>): Promise<Result> {
  for (let attempt = 1; ; attempt += 1) {
    try {
      return await run();
    } catch (error) {
      const { code } = error as { code?: string };
      if ((code !== '40001' && code !== '40P01') || attempt >= 5) throw error;
    }
  }
}

/** Runs `work` in one transaction, again when PostgreSQL ended it because of a deadlock; in the caller's when `db` is one. */
export const inTransaction = <Schema, Result>(
  db: Kysely<Schema>,
  work: (tx: Kysely<Schema>) => Promise<Result>,
): Promise<Result> => (db.isTransaction ? work(db) : retryOnDeadlock(() => db.transaction().execute(work)));

export const isDatabaseError = (error: unknown, constraint: string): boolean =>
  (error as { constraint?: string }).constraint === constraint;
