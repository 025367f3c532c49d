import { DEFAULT_MIGRATION_TABLE, Kysely, Migrator, PostgresDialect, sql, type Migration } from 'kysely';
import pg from 'pg';
import { ManagerError } from '../contracts/errors.js';
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
    // A connection can die without a word: then nobody ends a statement but whoever waits for it, with the connection.
    query_timeout: statementTimeoutMs + 2_000,
    idle_in_transaction_session_timeout: 30_000,
    connectionTimeoutMillis: 10_000,
    keepAlive: true,
    // Opening a connection costs more than a whole formation: one that was needed is kept for the next quiet minutes.
    idleTimeoutMillis: 300_000,
    pipeline: true,
    // Our queries take milliseconds; starting parallel workers for one costs more than it saves.
    options: '-c max_parallel_workers_per_gather=0 -c jit=off',
  });
  // An idle client whose server died emits 'error' on the pool; unhandled, it would end the process.
  pool.on('error', () => undefined);
  // So does one in the middle of a transaction, on itself; its next statement fails, and that is where it is handled.
  pool.on('connect', (client) => client.on('error', () => undefined));
  return new Kysely<Schema>({ dialect: new PostgresDialect({ pool: pipelined(pool) }) });
}

const queryCancelled = '57014';

/**
 * Brings one database to the newest schema. Forward only, and under kysely's advisory lock, so any number of
 * processes may start at once.
 * @throws ManagerError `service_unavailable` when the database cannot be reached or another process is still migrating it,
 * `incompatible_service` when its schema is newer than this code or its server is older than PostgreSQL 14: neither goes
 * away by waiting.
 */
export async function migrate<Schema>(
  db: Kysely<Schema>,
  name: string,
  migrations: Readonly<Record<string, Migration>>,
): Promise<void> {
  await refuseUnusableServer(db, name);
  const migrator = new Migrator({
    db: db as Kysely<unknown>,
    provider: { getMigrations: () => Promise.resolve({ ...migrations }) },
  });
  const { error, results } = await migrator.migrateToLatest();
  if (error === undefined) return;
  if (error instanceof Error && error.message.startsWith('corrupted migrations')) {
    const { rows } = await sql<{ migration: string }>`
      select name as migration from ${sql.table(DEFAULT_MIGRATION_TABLE)} order by name`.execute(db);
    const unknown = rows.map(({ migration }) => migration).filter((migration) => !Object.hasOwn(migrations, migration));
    throw new ManagerError('incompatible_service', otherSchema(name, unknown, Object.keys(migrations), error), {
      cause: error,
    });
  }
  // No migration was begun: it was the lock that the time ran out for.
  if (!results && (error as { code?: string }).code === queryCancelled) {
    throw new ManagerError(
      'service_unavailable',
      `${name} is being migrated by another process, which has not ended yet; wait for it. If there is none, end the ` +
        'session that holds an advisory lock in pg_locks of that database',
      { cause: error },
    );
  }
  const failed = results?.find((r) => r.status === 'Error')?.migrationName ?? 'the first migration';
  throw new Error(`Migration ${failed} of ${name} failed: ${error instanceof Error ? error.message : String(error)}`, {
    cause: error,
  });
}

function otherSchema(name: string, unknown: readonly string[], known: readonly string[], error: Error): string {
  if (unknown.length === 0) {
    return (
      `The schema of ${name} was written by another version of the manager (${error.message}); ` +
      'start the version that wrote it, or a newer one'
    );
  }
  return (
    `The schema of ${name} was written by a newer build of the manager: it has ${unknown.join(', ')}, which this build ` +
    `does not know; the newest it knows is ${known.at(-1)}. It changes nothing and does not wait, since migrations are ` +
    'never undone: run the newer build'
  );
}

async function refuseUnusableServer<Schema>(db: Kysely<Schema>, name: string): Promise<void> {
  let version: number;
  try {
    const { rows } = await sql<{
      version: number;
    }>`select current_setting('server_version_num')::int as version`.execute(db);
    version = rows[0]?.version ?? 0;
  } catch (cause) {
    throw new ManagerError(
      'service_unavailable',
      `The database ${name} cannot be used: ${cause instanceof Error ? cause.message : String(cause)}. ` +
        'Check its address and password, or run "cluster-manager doctor"',
      { cause },
    );
  }
  if (version < 140_000) {
    throw new ManagerError(
      'incompatible_service',
      `The database ${name} runs PostgreSQL ${Math.floor(version / 10_000)}; version 14 or newer is needed`,
    );
  }
}

/**
 * Runs `work` in one transaction, again when PostgreSQL refused it for a reason that a second try removes:
 * serialization failure (40001) or deadlock (40P01).
 */
export async function inTransaction<Schema, Result>(
  db: Kysely<Schema>,
  work: (tx: Kysely<Schema>) => Promise<Result>,
): Promise<Result> {
  for (let attempt = 1; ; attempt += 1) {
    try {
      return await db.transaction().execute(work);
    } catch (error) {
      const code = (error as { code?: string }).code;
      if ((code !== '40001' && code !== '40P01') || attempt >= 5) throw error;
    }
  }
}

export const isDatabaseError = (error: unknown, constraint: string): boolean =>
  (error as { constraint?: string }).constraint === constraint;
