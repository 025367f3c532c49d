import { createHash } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import pg from 'pg';
import { ManagerError } from '../contracts/errors.js';

/** One database's schema, as files in its store's folder. */
export interface DatabaseSchema {
  /** As errors name it: `clusters_db`. */
  readonly name: string;
  /**
   * Holds `migrations/NNNN-name.sql`, run once and in order; `functions/<name>.sql`, run again whenever its text changes;
   * and `adopt.sql`, which turns the schema of `adopts` into that of the first migration.
   */
  readonly folder: URL;
  /** The last migration of the builds before 0001-initial. */
  readonly adopts: string;
}

export interface MigrationTarget {
  readonly url: string;
  /** Shown in pg_stat_activity. */
  readonly applicationName: string;
  /**
   * How long a statement waits for a lock: for another process that migrates, or for a transaction that uses a table to
   * be altered. When it is reached, the database is left as it was and `service_unavailable` says so; the caller tries
   * again. Higher survives longer transactions, but every statement on that table queues behind the waiting one.
   */
  readonly lockTimeoutMs?: number;
}

/** Any number, but the same in every process: only its holder changes a schema. */
const migrationLock = 7_311_422;

const lockNotAvailable = '55P03';

/**
 * Brings one database to the newest schema, on a connection of its own without a statement timeout: migrations that have
 * not run yet, then the functions whose text has changed, all in one transaction. Forward only. An advisory lock lets any
 * number of processes start at once; a database that is up to date is only read.
 * @throws ManagerError `service_unavailable` when the database cannot be reached or a lock is not free in time;
 * `incompatible_service` when its schema is not one that this build knows or its server is older than PostgreSQL 14.
 */
export async function migrate(target: MigrationTarget, schema: DatabaseSchema): Promise<void> {
  const files = readSchemaFiles(schema);
  const client = new pg.Client({
    connectionString: target.url,
    application_name: target.applicationName,
    connectionTimeoutMillis: 10_000,
    keepAlive: true,
    options: `-c statement_timeout=0 -c lock_timeout=${target.lockTimeoutMs ?? 5_000}`,
  });
  // A connection that is lost emits 'error'; the statement in progress, or the next one, fails and reports it.
  client.on('error', () => undefined);
  try {
    await connect(client, schema.name);
    if (isUpToDate(await readState(client), files)) return;
    await client.query('begin');
    await client.query('select pg_advisory_xact_lock($1)', [migrationLock]);
    await applyFiles(client, schema, files);
    await client.query('commit');
  } catch (error) {
    if ((error as { code?: string }).code !== lockNotAvailable) throw error;
    throw new ManagerError(
      'service_unavailable',
      `${schema.name} is being migrated by another process, or a transaction holds a lock on one of its tables; ` +
        'nothing was changed. Wait for it, or end the session that pg_locks of that database shows',
      { cause: error },
    );
  } finally {
    await client.end();
  }
}

type SchemaFiles = ReturnType<typeof readSchemaFiles>;

export const readSchemaFiles = ({ folder }: DatabaseSchema) => ({
  migrations: readSqlFiles(new URL('migrations/', folder)),
  functions: readSqlFiles(new URL('functions/', folder)).map((file) => ({
    ...file,
    hash: createHash('sha256').update(file.text).digest('hex'),
  })),
});

const readSqlFiles = (folder: URL) =>
  readdirSync(folder)
    .filter((name) => name.endsWith('.sql'))
    .sort()
    .map((name) => ({ name: name.slice(0, -'.sql'.length), text: readFileSync(new URL(name, folder), 'utf8') }));

async function connect(client: pg.Client, name: string): Promise<void> {
  let version: number;
  try {
    await client.connect();
    const { rows } = await client.query<{ version: number }>(
      `select current_setting('server_version_num')::int as version`,
    );
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
    throw incompatible(
      `The database ${name} runs PostgreSQL ${Math.floor(version / 10_000)}; version 14 or newer is needed`,
    );
  }
}

interface SchemaState {
  readonly migrations: readonly string[];
  /** Hash of each function's file by name. */
  readonly functions: ReadonlyMap<string, string>;
}

async function readState(client: pg.Client): Promise<SchemaState> {
  if (!(await hasTable(client, 'schema_functions'))) return { migrations: [], functions: new Map() };
  const migrations = await client.query<{ name: string }>('select name from schema_migrations order by name');
  const functions = await client.query<{ name: string; hash: string }>('select name, hash from schema_functions');
  return {
    migrations: migrations.rows.map(({ name }) => name),
    functions: new Map(functions.rows.map(({ name, hash }) => [name, hash])),
  };
}

const hasTable = async (client: pg.Client, name: string): Promise<boolean> =>
  (await client.query('select 1 where to_regclass($1) is not null', [name])).rowCount === 1;

const incompatible = (detail: string): ManagerError => new ManagerError('incompatible_service', detail);

const isUpToDate = (state: SchemaState, { migrations, functions }: SchemaFiles): boolean =>
  state.migrations.length === migrations.length &&
  migrations.every(({ name }, index) => state.migrations[index] === name) &&
  functions.every(({ name, hash }) => state.functions.get(name) === hash);

/** Runs under the migration lock, so what it reads is what the process before it committed. */
async function applyFiles(client: pg.Client, schema: DatabaseSchema, files: SchemaFiles): Promise<void> {
  await client.query(`
    create table if not exists schema_migrations (name text primary key, applied_at timestamptz not null default now());
    create table if not exists schema_functions (name text primary key, hash text not null)`);
  await adoptEarlierSchema(client, schema, files);
  const state = await readState(client);
  refuseForeignSchema(schema.name, state.migrations, files);
  for (const { name, text } of files.migrations.slice(state.migrations.length)) {
    await run(client, `Migration ${name} of ${schema.name}`, text);
    await client.query('insert into schema_migrations (name) values ($1)', [name]);
  }
  // A function may name one that comes after it in the alphabet.
  await client.query('set local check_function_bodies = off');
  for (const { name, text, hash } of files.functions) {
    if (state.functions.get(name) === hash) continue;
    await run(client, `Function ${name} of ${schema.name}`, text);
    await client.query(
      `insert into schema_functions (name, hash) values ($1, $2) on conflict (name) do update set hash = excluded.hash`,
      [name, hash],
    );
  }
}

async function run(client: pg.Client, what: string, text: string): Promise<void> {
  try {
    await client.query(text);
  } catch (error) {
    if ((error as { code?: string }).code === lockNotAvailable) throw error;
    throw new Error(`${what} failed: ${error instanceof Error ? error.message : String(error)}`, { cause: error });
  }
}

/** Builds before 0001-initial recorded their migrations in kysely_migration. Their data is kept. */
async function adoptEarlierSchema(
  client: pg.Client,
  schema: DatabaseSchema,
  { migrations }: SchemaFiles,
): Promise<void> {
  if (!(await hasTable(client, 'kysely_migration'))) return;
  const { rows } = await client.query<{ name: string }>('select name from kysely_migration order by name');
  const newest = rows.at(-1)?.name;
  if (newest !== undefined && newest !== schema.adopts) {
    throw incompatible(
      `The schema of ${schema.name} was written by another version of the manager: its newest migration is ${newest}, and ` +
        `only ${schema.adopts} can be brought to the present schema; start the build that wrote it, or use an empty database`,
    );
  }
  if (newest !== undefined) {
    await run(client, `Adoption of ${schema.name}`, readFileSync(new URL('adopt.sql', schema.folder), 'utf8'));
    await client.query('insert into schema_migrations (name) values ($1)', [migrations[0]?.name]);
  }
  await client.query('drop table kysely_migration; drop table if exists kysely_migration_lock');
}

/** @throws ManagerError `incompatible_service` when the database's migrations are not the first ones of this build. */
function refuseForeignSchema(name: string, applied: readonly string[], { migrations }: SchemaFiles): void {
  const known = migrations.map((migration) => migration.name);
  const unknown = applied.filter((migration) => !known.includes(migration));
  if (unknown.length > 0) {
    throw incompatible(
      `The schema of ${name} was written by a newer build of the manager: it has ${unknown.join(', ')}, which this build ` +
        `does not know; the newest it knows is ${known.at(-1)}. Migrations are never undone, so it changes nothing and does ` +
        'not wait: run the newer build',
    );
  }
  if (applied.some((migration, index) => migration !== known[index])) {
    throw incompatible(
      `The schema of ${name} was written by another version of the manager: it has ${applied.join(', ')}, where this build ` +
        `has ${known.join(', ')}; start the version that wrote it, or a newer one`,
    );
  }
}
