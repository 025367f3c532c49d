import { readFileSync } from 'node:fs';
import { sql, type Kysely } from 'kysely';
import { describe, expect, it, onTestFinished } from 'vitest';
import {
  clustersDatabase,
  clusterView,
  eventsAfter,
  findAgent,
  membershipsOf,
  releaseLeaving,
  saveHeartbeats,
  scalingMembers,
  startLeaving,
  stepsOf,
  type ClustersDb,
} from '../../src/stores/clusters/index.js';
import {
  ackDeliveries,
  communicationDatabase,
  findMessages,
  findTopics,
  listDeadLetters,
  routingTable,
  type CommunicationDb,
} from '../../src/stores/communication/index.js';
import { openDatabase } from '../../src/stores/database.js';
import { migrate, type DatabaseSchema } from '../../src/stores/migrate.js';
import {
  allocate,
  budgetDifferences,
  commitHold,
  findHold,
  findPool,
  ledgerDifferences,
  listCapacityRequests,
  listDecisions,
  quotasOf,
  releaseHold,
  resourcesDatabase,
  type ResourcesDb,
} from '../../src/stores/resources/index.js';
import { createEmptyDatabase } from '../support/database.js';
import { claimOf, take } from './communication/builders.js';

/** A database of this test's own: empty, or as a committed dump says. */
async function databaseFrom(dump?: string): Promise<{ readonly db: Kysely<unknown>; readonly url: string }> {
  const { url, drop } = await createEmptyDatabase();
  const db = openDatabase<unknown>({ url, applicationName: 'test', maxConnections: 3 });
  onTestFinished(async () => {
    await db.destroy();
    await drop();
  });
  if (dump !== undefined) {
    const text = readFileSync(new URL(`fixtures/${dump}.sql`, import.meta.url), 'utf8');
    await sql`set check_function_bodies = off; ${sql.raw(text)}`.execute(db);
  }
  return { db, url };
}

/** A database that a demo of the last build before 0001-initial left, brought to the present schema. */
async function upgraded<Db>(dump: string, schema: DatabaseSchema): Promise<Db> {
  const { db, url } = await databaseFrom(dump);
  await migrate({ url, applicationName: 'test' }, schema);
  return db as Db;
}

/** All that a schema consists of, one line each, without the order of columns. */
async function schemaOf(db: Kysely<unknown>): Promise<string[]> {
  const { rows } = await sql<{ line: string }>`
    with tables as (
      select oid, relname, relkind, reloptions from pg_class
      where relnamespace = 'public'::regnamespace and relkind in ('r', 'S')
    )
    select format('relation %s %s %s', relkind, relname, reloptions) as line from tables
    union all
    select format('column %s.%s %s %s %s', t.relname, a.attname, format_type(a.atttypid, a.atttypmod), a.attnotnull,
      a.attidentity::text || a.attgenerated::text || coalesce(pg_get_expr(d.adbin, d.adrelid), ''))
    from tables t join pg_attribute a on a.attrelid = t.oid and a.attnum > 0 and not a.attisdropped
      left join pg_attrdef d on d.adrelid = a.attrelid and d.adnum = a.attnum
    where t.relkind = 'r'
    union all
    select format('constraint %s.%s %s', t.relname, c.conname, pg_get_constraintdef(c.oid))
    from tables t join pg_constraint c on c.conrelid = t.oid
    union all
    select pg_get_indexdef(i.indexrelid) from tables t join pg_index i on i.indrelid = t.oid
    union all
    select pg_get_triggerdef(g.oid) from tables t join pg_trigger g on g.tgrelid = t.oid where not g.tgisinternal
    union all
    select pg_get_functiondef(p.oid) from pg_proc p where p.pronamespace = 'public'::regnamespace
    order by 1`.execute(db);
  return rows.map(({ line }) => line);
}

describe.each([
  ['before-0001-clusters', clustersDatabase],
  ['before-0001-communication', communicationDatabase],
  ['before-0001-resources', resourcesDatabase],
] as const)('%s', (dump, schema) => {
  it('a database of the last build before 0001-initial is upgraded to the schema of a new database', async () => {
    const before = await upgraded<Kysely<unknown>>(dump, schema);
    const { db: fresh, url } = await databaseFrom();
    await migrate({ url, applicationName: 'test' }, schema);
    const [expected, seen] = [await schemaOf(fresh), await schemaOf(before)];
    expect(seen).toEqual(expected);
    expect(seen.length).toBeGreaterThan(50);
  });
});

describe('clusters_db of the last build before 0001-initial', () => {
  const [newsroom, press] = ['cl_bc1b0097-e2d1-829d-94d7-2cd2ff3db042', 'cl_fab0cb76-d2ea-8ffa-b1ed-54bb0f1afdac'];

  it('the upgraded clusters_db keeps agents, clusters, memberships, steps and events', async () => {
    const db = await upgraded<ClustersDb>('before-0001-clusters', clustersDatabase);
    expect(await clusterView(db, newsroom)).toMatchObject({
      name: 'newsroom',
      state: 'active',
      epoch: 1,
      coordinator: 'bo',
      members: ['ada', 'bo', 'cy', 'dee', 'eli'].map((agentId) => ({ agentId, state: 'active' })),
    });
    expect(await findAgent(db, 'ada')).toMatchObject({ clusters: expect.arrayContaining([newsroom]) as unknown });
    const steps = await stepsOf(db, newsroom.replace('cl_', 'op_'));
    expect(steps.map(({ step }) => step)).toEqual(
      expect.arrayContaining(['identifyAgents', 'defineCluster', 'establishConnections', 'initializeCluster']),
    );
    expect((await eventsAfter(db, 0, 100)).map(({ seq }) => seq)).toEqual(Array.from({ length: 20 }, (_, i) => i + 1));
  });

  it('agents of the upgraded clusters_db can renew leases and leave clusters', async () => {
    const db = await upgraded<ClustersDb>('before-0001-clusters', clustersDatabase);
    await saveHeartbeats(db, new Map([['press-1', { load: 0.25 }]]), 60);
    const members = await scalingMembers(db, [press]);
    expect(members.find(({ agentId }) => agentId === 'press-1')).toMatchObject({ load: 0.25 });
    const plan = { clusterId: press, operationId: 'shrink', epoch: 5, coordinator: 'press-1', desired: 3 };
    await db.transaction().execute((tx) => startLeaving(tx, { ...plan, leaving: ['press-4'] }));
    expect(await db.transaction().execute((tx) => releaseLeaving(tx, 'shrink'))).toEqual(['press-4']);
    expect((await membershipsOf(db, press)).map(({ agentId }) => agentId)).toEqual(['press-1', 'press-2', 'press-3']);
    expect(await findAgent(db, 'press-4')).toMatchObject({ clusters: [] });
  });
});

describe('communication_db of the last build before 0001-initial', () => {
  it('open deliveries of the upgraded communication_db can be delivered and acknowledged', async () => {
    const db = await upgraded<CommunicationDb>('before-0001-communication', communicationDatabase);
    await sql`update deliveries set expires_at = now() + interval '1 hour'`.execute(db);
    const leased = await take(db, 'zoe');
    expect(leased.map(({ delivery }) => [delivery.message.id, delivery.attempt])).toEqual([
      ['kept-1', 2],
      ['kept-2', 1],
      ['kept-3', 1],
    ]);
    const claims = leased.map((one) => claimOf('zoe', one));
    expect((await ackDeliveries(db, claims)).size).toBe(3);
    expect(await take(db, 'zoe')).toEqual([]);
  });

  it('the upgraded communication_db keeps routing tables, dead letters, topics and retained messages', async () => {
    const db = await upgraded<CommunicationDb>('before-0001-communication', communicationDatabase);
    expect(await routingTable(db, 'cl_fab0cb76-d2ea-8ffa-b1ed-54bb0f1afdac')).toMatchObject({ epoch: 4 });
    expect(await findMessages(db, 'unroutable')).toMatchObject([{ matched: 0 }]);
    expect(await listDeadLetters(db, { limit: 10 })).toMatchObject([{ reason: 'unknown_recipient' }]);
    expect(await findTopics(db, ['news', 'news.local'])).toMatchObject([
      { name: 'news', retention: { keep: 'last' } },
      { name: 'news.local', retention: { keep: 'count', count: 5 } },
    ]);
  });
});

describe('resources_db of the last build before 0001-initial', () => {
  const cluster = 'cl_af25e010-ad81-8dc2-aca9-73ed616bf952';

  it('the upgraded resources_db keeps pools, quotas and allocations, and can allocate', async () => {
    const db = await upgraded<ResourcesDb>('before-0001-resources', resourcesDatabase);
    const amounts = [{ pool: 'main', resource: 'tokens', amount: 42 }];
    const request = { requestId: 'next', clusterId: cluster, operationId: 'op', amounts, leaseSeconds: 60 };
    expect(await allocate(db, request)).toMatchObject({ state: 'granted' });
    expect(await allocate(db, { ...request, requestId: 'one-more' })).toMatchObject({ state: 'short' });
    expect(await quotasOf(db, cluster)).toContainEqual({ resource: 'tokens', quota: 50, held: 50 });
    expect(await findPool(db, 'main')).toMatchObject({ resources: { tokens: { used: 50 }, gpu: { used: 0 } } });
    expect(await ledgerDifferences(db)).toEqual([]);
  });

  it('holds of the upgraded resources_db can be committed and released', async () => {
    const db = await upgraded<ResourcesDb>('before-0001-resources', resourcesDatabase);
    expect(await findHold(db, 'r-spent')).toMatchObject({ state: 'committed', amount: 3, actual: 2.5 });
    expect((await commitHold(db, 'r-open', 1)).budget).toMatchObject({ reserved: 0, committed: 3.5, left: 6.5 });
    expect((await releaseHold(db, 'r-unused')).budget).toMatchObject({ left: 6.5 });
    expect(await budgetDifferences(db)).toEqual([]);
  });

  it('the upgraded resources_db keeps decisions and capacity requests', async () => {
    const db = await upgraded<ResourcesDb>('before-0001-resources', resourcesDatabase);
    const decisions = await listDecisions(db, 'cl_fab0cb76-d2ea-8ffa-b1ed-54bb0f1afdac', { limit: 10 });
    expect(decisions).toHaveLength(2);
    expect(await listCapacityRequests(db, { limit: 10 })).toMatchObject([{ state: 'granted' }]);
  });
});
