import { randomBytes } from 'node:crypto';
import pg from 'pg';
import { inject } from 'vitest';
import { clustersDatabase, type ClustersDb, type ClustersSchema } from '../../src/stores/clusters/index.js';
import {
  communicationDatabase,
  type CommunicationDb,
  type CommunicationSchema,
} from '../../src/stores/communication/index.js';
import { openDatabase } from '../../src/stores/database.js';
import { migrate } from '../../src/stores/migrate.js';
import { resourcesDatabase, type ResourcesDb, type ResourcesSchema } from '../../src/stores/resources/index.js';

export interface TestDatabases {
  readonly clusters: ClustersDb;
  readonly communication: CommunicationDb;
  readonly resources: ResourcesDb;
  readonly urls: { readonly clusters: string; readonly communication: string; readonly resources: string };
  drop(): Promise<void>;
}

const names = ['clusters', 'communication', 'resources'] as const;
type Name = (typeof names)[number];
const schemas = { clusters: clustersDatabase, communication: communicationDatabase, resources: resourcesDatabase };

const urlOf = (adminUrl: string, database: string): string => {
  const url = new URL(adminUrl);
  url.pathname = `/${database}`;
  return url.toString();
};

/** Arbitrary, but the same for every process of a test run: who holds it makes the template databases. */
const templateLock = 7_311_420;

/**
 * Three databases of this test file's own, copied from templates that were migrated once.
 * @param options.adminUrl a superuser's, when there is no vitest run to inject it.
 */
export async function createTestDatabases(
  options: { readonly adminUrl?: string; readonly maxConnections?: number } = {},
): Promise<TestDatabases> {
  const adminUrl = options.adminUrl ?? inject('adminDatabaseUrl');
  const suffix = randomBytes(5).toString('hex');
  const admin = new pg.Client({ connectionString: adminUrl });
  await admin.connect();
  await admin.query('select pg_advisory_lock($1)', [templateLock]);
  try {
    for (const name of names) {
      await ensureTemplate(admin, adminUrl, name);
      await admin.query(`create database test_${name}_${suffix} template template_${name}`);
    }
  } finally {
    await admin.query('select pg_advisory_unlock($1)', [templateLock]);
    await admin.end();
  }
  const url = (name: Name): string => urlOf(adminUrl, `test_${name}_${suffix}`);
  const open = <Schema>(name: Name) =>
    openDatabase<Schema>({ url: url(name), applicationName: 'test', maxConnections: options.maxConnections ?? 10 });
  const clusters = open<ClustersSchema>('clusters');
  const communication = open<CommunicationSchema>('communication');
  const resources = open<ResourcesSchema>('resources');
  return {
    clusters,
    communication,
    resources,
    urls: { clusters: url('clusters'), communication: url('communication'), resources: url('resources') },
    drop: async () => {
      await Promise.all([clusters.destroy(), communication.destroy(), resources.destroy()]);
      const client = new pg.Client({ connectionString: adminUrl });
      await client.connect();
      for (const name of names) await client.query(`drop database if exists test_${name}_${suffix} with (force)`);
      await client.end();
    },
  };
}

/** A database of this test's own that nothing has migrated yet. */
export async function createEmptyDatabase(): Promise<{ readonly url: string; drop(): Promise<void> }> {
  const adminUrl = inject('adminDatabaseUrl');
  const database = `test_empty_${randomBytes(5).toString('hex')}`;
  const run = async (statement: string): Promise<void> => {
    const admin = new pg.Client({ connectionString: adminUrl });
    await admin.connect();
    try {
      await admin.query(statement);
    } finally {
      await admin.end();
    }
  };
  await run(`create database ${database}`);
  return { url: urlOf(adminUrl, database), drop: () => run(`drop database if exists ${database} with (force)`) };
}

async function ensureTemplate(admin: pg.Client, adminUrl: string, name: Name): Promise<void> {
  const { rowCount } = await admin.query('select 1 from pg_database where datname = $1', [`template_${name}`]);
  if (rowCount) return;
  await admin.query(`create database making_${name}`);
  await migrate({ url: urlOf(adminUrl, `making_${name}`), applicationName: 'test' }, schemas[name]);
  // Renamed only when whole: a run that was killed meanwhile leaves no half template.
  await admin.query(`alter database making_${name} rename to template_${name}`);
}
