import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { spawn } from 'node:child_process';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { pathToFileURL } from 'node:url';
import pg from 'pg';
import { afterEach, beforeEach, describe, expect, inject, it } from 'vitest';
import { clustersDatabase } from '../../src/stores/clusters/index.js';
import { communicationDatabase } from '../../src/stores/communication/index.js';
import { migrate, readSchemaFiles, type DatabaseSchema } from '../../src/stores/migrate.js';
import { resourcesDatabase } from '../../src/stores/resources/index.js';
import { createEmptyDatabase, createTestDatabases, type TestDatabases } from '../support/database.js';

describe('migrateDatabase', () => {
  let folder: string;
  let schema: DatabaseSchema;
  let url: string;
  let drop: () => Promise<void>;
  let client: pg.Client;

  beforeEach(async () => {
    folder = mkdtempSync(join(tmpdir(), 'cluster-manager-schema-'));
    schema = { name: 'things_db', folder: pathToFileURL(`${folder}/`), adopts: '0002-more-things' };
    ({ url, drop } = await createEmptyDatabase());
    client = new pg.Client({ connectionString: url });
    await client.connect();
    write('migrations/0001-initial.sql', 'create table things (id integer primary key); insert into things values (1)');
    write('functions/double.sql', doubling('2 * quadruple(a) / 4'));
    write('functions/quadruple.sql', functionOf('quadruple', '4 * a'));
    write('adopt.sql', 'alter table older_things rename to things');
  });
  afterEach(async () => {
    await client.end();
    await drop();
    rmSync(folder, { recursive: true });
  });

  const write = (name: string, text: string): void => {
    mkdirSync(dirname(join(folder, name)), { recursive: true });
    writeFileSync(join(folder, name), text);
  };
  const functionOf = (name: string, body: string) =>
    `create or replace function ${name}(a integer) returns integer language sql as 'select ${body}'`;
  const doubling = (body: string) => functionOf('double', body);
  const start = (lockTimeoutMs?: number) =>
    migrate({ url, applicationName: 'test', ...(lockTimeoutMs ? { lockTimeoutMs } : {}) }, schema);
  const valueOf = async (query: string): Promise<unknown> => {
    const { rows } = await client.query<{ value: unknown }>(query);
    return rows[0]?.value;
  };
  const applied = () => valueOf('select array_agg(name order by name) as value from schema_migrations');

  it('migrations run once each, then functions are created in the order of their calls', async () => {
    await start();
    await start();
    write('migrations/0002-names.sql', `alter table things add column name text not null default 'thing'`);
    await start();
    expect(await applied()).toEqual(['0001-initial', '0002-names']);
    expect(await valueOf('select json_agg(things) as value from things')).toEqual([{ id: 1, name: 'thing' }]);
    expect(await valueOf('select double(21) as value')).toBe(42);
  });

  it('a function whose file changed is replaced, and the others are not', async () => {
    await start();
    const version = (name: string) => valueOf(`select xmin::text as value from pg_proc where proname = '${name}'`);
    const [double, quadruple] = [await version('double'), await version('quadruple')];
    write('functions/double.sql', doubling('a + a'));
    await start();
    expect(await version('double')).not.toBe(double);
    expect(await version('quadruple')).toBe(quadruple);
    expect(await valueOf('select double(4) as value')).toBe(8);
  });

  it('a failing migration or function leaves the database unchanged', async () => {
    await start();
    write('migrations/0002-names.sql', 'alter table things add column name text');
    write('functions/double.sql', 'create or replace function double(a integer) returns no_type language sql as $$ $$');
    await expect(start()).rejects.toThrow(/Function double of things_db failed: .*no_type/);
    expect(await applied()).toEqual(['0001-initial']);
    expect(await valueOf('select to_jsonb(things) as value from things')).toEqual({ id: 1 });
  });

  it('many processes that start concurrently migrate a database once', async () => {
    await Promise.all(Array.from({ length: 8 }, () => start()));
    expect(await valueOf('select count(*)::integer as value from things')).toBe(1);
  });

  it("migrations run without the database's statement timeout", async () => {
    await client.query(`alter database ${new URL(url).pathname.slice(1)} set statement_timeout = '200ms'`);
    write('migrations/0002-slow.sql', 'select pg_sleep(0.5)');
    await start();
    expect(await applied()).toEqual(['0001-initial', '0002-slow']);
  });

  it('a migration waits at most the lock timeout for another migrating process, and can be repeated', async () => {
    await client.query('begin; select pg_advisory_xact_lock(7311422)');
    await expect(start(100)).rejects.toMatchObject({
      code: 'service_unavailable',
      message: expect.stringContaining('things_db is being migrated by another process') as string,
    });
    await client.query('commit');
    await start(100);
    expect(await applied()).toEqual(['0001-initial']);
  });

  it('a migration that waits longer than the lock timeout for a table fails and changes nothing', async () => {
    await start();
    write('migrations/0002-names.sql', 'alter table things add column name text');
    await client.query('begin; select * from things');
    await expect(start(100)).rejects.toMatchObject({ code: 'service_unavailable' });
    await client.query('commit');
    expect(await applied()).toEqual(['0001-initial']);
  });

  describe('a database of a build before 0001-initial', () => {
    const earlier = (...names: readonly string[]) =>
      client.query(`
        create table older_things (id integer primary key); insert into older_things values (7);
        create table kysely_migration (name text, timestamp text); create table kysely_migration_lock (id text);
        insert into kysely_migration select unnest('{${names.join(',')}}'::text[]), now()`);

    it('a database of a build before 0001-initial keeps its data and receives later migrations', async () => {
      await earlier('0001-things', '0002-more-things');
      write('migrations/0002-names.sql', `alter table things add column name text`);
      await start();
      expect(await applied()).toEqual(['0001-initial', '0002-names']);
      expect(await valueOf('select to_jsonb(things) as value from things')).toEqual({ id: 7, name: null });
      expect(await valueOf(`select to_regclass('kysely_migration') as value`)).toBeNull();
    });

    it('a database before the last migration that precedes 0001-initial is refused unchanged', async () => {
      await earlier('0001-things');
      await expect(start()).rejects.toMatchObject({
        code: 'incompatible_service',
        message: expect.stringContaining('newest migration is 0001-things, and only 0002-more-things') as string,
      });
      expect(await valueOf('select count(*)::integer as value from older_things')).toBe(1);
    });
  });

  it('a database that lacks an earlier migration of this build is refused', async () => {
    write('migrations/0002-names.sql', `alter table things add column name text`);
    await start();
    await client.query(`delete from schema_migrations where name = '0001-initial'`);
    await expect(start()).rejects.toMatchObject({
      code: 'incompatible_service',
      message: expect.stringContaining('written by another version') as string,
    });
  });
});

describe('a database that a newer build has migrated', () => {
  let stores: TestDatabases;
  let client: pg.Client;
  beforeEach(async () => {
    stores = await createTestDatabases();
    client = new pg.Client({ connectionString: stores.urls.resources });
    await client.connect();
    await client.query(`insert into schema_migrations values ('9001-later'), ('9002-later-still')`);
  });
  afterEach(async () => {
    await client?.end();
    await stores?.drop();
  });

  it('a database migrated by a newer build is refused unchanged, naming every unknown migration', async () => {
    await expect(
      migrate({ url: stores.urls.resources, applicationName: 'test' }, resourcesDatabase),
    ).rejects.toMatchObject({
      name: 'ManagerError',
      code: 'incompatible_service',
      message: expect.stringMatching(
        /resources_db .* has 9001-later, 9002-later-still, .* newest it knows is 0\d{3}-[a-z-]+\..*run the newer build/,
      ) as string,
    });
    const { rows } = await client.query<{ name: string }>('select name from schema_migrations order by name');
    expect(rows.map(({ name }) => name)).toEqual(['0001-initial', '9001-later', '9002-later-still']);
  });

  it.each(['worker', 'server'] as const)('ends a %s of this build at once, which says why', async (program) => {
    const { code, output } = await run(program, stores.urls);
    expect(output).toContain('9001-later, 9002-later-still');
    expect(output).toContain('run the newer build');
    expect(code).toBe(69);
  });
});

/** A process as it is started in production. @returns its exit code, and all that it printed. */
const run = (program: 'worker' | 'server', urls: TestDatabases['urls']) =>
  new Promise<{ readonly code: number | null; readonly output: string }>((resolve, reject) => {
    const child = spawn(process.execPath, ['--import', 'tsx', `src/${program}.ts`], {
      env: {
        PATH: process.env['PATH'] ?? '',
        CLUSTER_MANAGER_PORT: '0',
        CLUSTERS_DATABASE_URL: urls.clusters,
        COMMUNICATION_DATABASE_URL: urls.communication,
        RESOURCES_DATABASE_URL: urls.resources,
        TEMPORAL_ADDRESS: inject('temporal').address,
      },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    let output = '';
    for (const stream of [child.stdout, child.stderr]) stream.on('data', (chunk) => (output += String(chunk)));
    const limit = setTimeout(() => child.kill('SIGKILL'), 25_000);
    child.once('error', reject);
    child.once('close', (code) => {
      clearTimeout(limit);
      resolve({ code, output });
    });
  });

describe.each([clustersDatabase, communicationDatabase, resourcesDatabase])('the functions of $name', (schema) => {
  it('are checked by PostgreSQL, and by plpgsql_check where it is installed', async () => {
    const { url, drop } = await createEmptyDatabase();
    const client = new pg.Client({ connectionString: url });
    try {
      await migrate({ url, applicationName: 'test' }, schema);
      await client.connect();
      // With check_function_bodies on, which migrate turns off: every table and function that a body names must be there.
      for (const { text } of readSchemaFiles(schema).functions) await client.query(text);
      const { rowCount } = await client.query(`select from pg_available_extensions where name = 'plpgsql_check'`);
      if (!rowCount) return;
      await client.query('create extension plpgsql_check');
      const { rows } = await client.query(`
        select p.proname, c.lineno, c.message from pg_proc p join pg_language l on l.oid = p.prolang
          left join lateral (select * from pg_trigger where tgfoid = p.oid limit 1) t on true,
          plpgsql_check_function_tb(p.oid, coalesce(t.tgrelid, 0), newtable => t.tgnewtable) c
        where l.lanname = 'plpgsql' and p.pronamespace = 'public'::regnamespace and c.level = 'error'`);
      expect(rows).toEqual([]);
    } finally {
      await client.end();
      await drop();
    }
  });
});
