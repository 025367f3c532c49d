import { spawn } from 'node:child_process';
import { PostgresAdapter, sql } from 'kysely';
import { afterEach, beforeEach, describe, expect, inject, it } from 'vitest';
import { migrate, openDatabase } from '../../src/stores/database.js';
import { resourcesMigrations } from '../../src/stores/resources/index.js';
import { createTestDatabases, type TestDatabases } from '../support/database.js';

let stores: TestDatabases;
beforeEach(async () => {
  stores = await createTestDatabases();
});
afterEach(() => stores?.drop());

const migrated = (...names: readonly string[]) =>
  sql`insert into kysely_migration (name, timestamp) select unnest(${[...names]}::text[]), now()::text`.execute(
    stores.resources,
  );
const start = () => migrate(stores.resources, 'resources_db', resourcesMigrations);
const newest = Object.keys(resourcesMigrations).at(-1) ?? '';

/** A process as it is started in production. @returns how it ended, and all that it said. */
const run = (program: 'worker' | 'server') =>
  new Promise<{ readonly code: number | null; readonly said: string }>((resolve, reject) => {
    const child = spawn(process.execPath, ['--import', 'tsx', `src/${program}.ts`], {
      env: {
        PATH: process.env['PATH'] ?? '',
        CLUSTER_MANAGER_PORT: '0',
        CLUSTERS_DATABASE_URL: stores.urls.clusters,
        COMMUNICATION_DATABASE_URL: stores.urls.communication,
        RESOURCES_DATABASE_URL: stores.urls.resources,
        TEMPORAL_ADDRESS: inject('temporal').address,
      },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    let said = '';
    for (const stream of [child.stdout, child.stderr]) stream.on('data', (chunk) => (said += String(chunk)));
    const patience = setTimeout(() => child.kill('SIGKILL'), 25_000);
    child.once('error', reject);
    child.once('close', (code) => {
      clearTimeout(patience);
      resolve({ code, said });
    });
  });

describe('a database that a newer build has migrated', () => {
  it('is refused, naming every migration that this build does not know, and is left as it is', async () => {
    await migrated('9001-later', '9002-later-still');
    await expect(start()).rejects.toMatchObject({
      name: 'ManagerError',
      code: 'incompatible_service',
      message: expect.stringMatching(
        new RegExp(`resources_db .* has 9001-later, 9002-later-still, .* newest it knows is ${newest}.*run the newer`),
      ) as string,
    });
    const { rows } = await sql<{ name: string }>`select name from kysely_migration order by name`.execute(
      stores.resources,
    );
    expect(rows.map(({ name }) => name)).toEqual([
      ...Object.keys(resourcesMigrations),
      '9001-later',
      '9002-later-still',
    ]);
  });

  it.each(['worker', 'server'] as const)('ends a %s of this build at once, which says why', async (program) => {
    await migrated('9001-later', '9002-later-still');
    const { code, said } = await run(program);
    expect(said).toContain('9001-later, 9002-later-still');
    expect(said).toContain('run the newer build');
    expect(code).toBe(69);
  });
});

it('a database that another process still migrates is waited for by who asks again, and says so', async () => {
  const lock = { lockTable: 'kysely_migration_lock', lockRowId: 'migration_lock' };
  const impatient = openDatabase({ url: stores.urls.resources, applicationName: 'impatient', statementTimeoutMs: 300 });
  try {
    await stores.resources.connection().execute(async (other) => {
      await new PostgresAdapter().acquireMigrationLock(other, lock);
      await expect(migrate(impatient, 'resources_db', resourcesMigrations)).rejects.toMatchObject({
        code: 'service_unavailable',
        message: expect.stringContaining('resources_db is being migrated by another process') as string,
      });
      await new PostgresAdapter().releaseMigrationLock(other, lock);
    });
    await migrate(impatient, 'resources_db', resourcesMigrations);
  } finally {
    await impatient.destroy();
  }
});

it('a database whose migrations are not those of this line is refused, too', async () => {
  await sql`delete from kysely_migration where name like '0001-%'`.execute(stores.resources);
  await expect(start()).rejects.toMatchObject({
    code: 'incompatible_service',
    message: expect.stringContaining('written by another version') as string,
  });
});
