import { sql, type Kysely, type Migration } from 'kysely';
import { describe, expect, it, onTestFinished } from 'vitest';
import {
  clustersMigrations,
  clusterView,
  findAgent,
  membershipsOf,
  releaseLeaving,
  saveHeartbeats,
  scalingMembers,
  startLeaving,
  type ClustersDb,
} from '../../src/stores/clusters/index.js';
import {
  ack,
  communicationMigrations,
  deliver,
  findBatchPart,
  findMessages,
  openTables,
  routeAndDeliver,
  routingTable,
  storeBatch,
  type CommunicationDb,
} from '../../src/stores/communication/index.js';
import { migrate, openDatabase } from '../../src/stores/database.js';
import {
  commitHold,
  findAccount,
  findHold,
  openAccount,
  quotasOf,
  releaseHold,
  placeHold,
  resourcesMigrations,
  setQuotas,
  setWeight,
  allocate as takeGrants,
  type ResourcesDb,
} from '../../src/stores/resources/index.js';
import { createEmptyDatabase } from '../support/database.js';
import { claimOf, take } from './communication/builders.js';
import { pool, request } from './resources/builders.js';

/** A database as a build left it whose newest migration was `last`. */
async function databaseAt<Db>(migrations: Readonly<Record<string, Migration>>, last: string): Promise<Db> {
  const { url, drop } = await createEmptyDatabase();
  const db = openDatabase<unknown>({ url, applicationName: 'test', maxConnections: 3 });
  onTestFinished(async () => {
    await db.destroy();
    await drop();
  });
  const all = Object.entries(migrations);
  const older = all.slice(0, all.findIndex(([name]) => name === last) + 1);
  expect(older.length).toBeGreaterThan(0);
  await migrate(db, 'older', Object.fromEntries(older));
  return db as Db;
}

const upgrade = (db: unknown, migrations: Readonly<Record<string, Migration>>) =>
  migrate(db as Kysely<unknown>, 'newest', migrations);

describe('resources_db', () => {
  it('of the first build keeps its accounts: the open one takes and reserves, the closed one stays closed', async () => {
    const db = await databaseAt<ResourcesDb>(resourcesMigrations, '0001-accounts');
    await sql`
      insert into accounts (cluster_id, state, weight, per_member, closed_at)
      values ('cl_open', 'open', 2.5, '{"gpu": 1}', null), ('cl_closed', 'closed', 1, '{}', now())`.execute(db);
    await upgrade(db, resourcesMigrations);

    expect(await findAccount(db, 'cl_open')).toEqual({ state: 'open', weight: 2.5 });
    await setWeight(db, 'cl_open', 3);
    expect(await setQuotas(db, 'cl_open', { tokens: 10 })).toEqual([{ resource: 'tokens', quota: 10, held: 0 }]);
    const name = await pool(db, { tokens: 100 });
    expect(await takeGrants(db, request('cl_open', name, 4))).toMatchObject({ state: 'granted' });
    expect(await quotasOf(db, 'cl_open')).toEqual([{ resource: 'tokens', quota: 10, held: 4 }]);

    await openAccount(db, { clusterId: 'cl_closed', weight: 1, perMember: {} });
    expect(await findAccount(db, 'cl_closed')).toEqual({ state: 'closed', weight: 1 });
    await expect(takeGrants(db, request('cl_closed', name, 4))).rejects.toMatchObject({ code: 'state_conflict' });
  });

  it('of the second build keeps its reservations, which nobody is known to have made', async () => {
    const db = await databaseAt<ResourcesDb>(resourcesMigrations, '0002-resources');
    await sql`
      insert into accounts (cluster_id, state, weight) values ('cl', 'open', 1);
      insert into budgets (id, cluster_id, resource, limit_amount, reserved) values ('b', 'cl', 'usd', 10, 7);
      insert into reservations (id, budget_id, amount, lease_expires_at)
        values ('spent', 'b', 4, now() + interval '1 hour'), ('unused', 'b', 3, now() + interval '1 hour');
      insert into budget_ledger (budget_id, reservation_id, reserved, committed, overdrawn, reason)
        values ('b', 'spent', 4, 0, 0, 'reserved'), ('b', 'unused', 3, 0, 0, 'reserved')`.execute(db);
    await upgrade(db, resourcesMigrations);

    expect(await findHold(db, 'spent')).toMatchObject({ state: 'open', amount: 4, reservedBy: null });
    expect((await commitHold(db, 'spent', 2)).budget).toMatchObject({ reserved: 3, committed: 2 });
    expect((await releaseHold(db, 'unused')).budget).toMatchObject({ reserved: 0, committed: 2, left: 8 });
    const wanted = { budgetId: 'b', reservationId: 'new', amount: 8, leaseSeconds: 60, reservedBy: 'agent' };
    expect((await placeHold(db, wanted)).reservation.reservedBy).toBe('agent');
  });
});

describe('clusters_db', () => {
  it('of the second build keeps an active cluster whole, and its members can leave as of now', async () => {
    const db = await databaseAt<ClustersDb>(clustersMigrations, '0002-fewer-questions');
    await sql`
      insert into agents (id, capabilities, resources, load, max_clusters, lease_expires_at)
        select 'a' || n, '{work}', '{"gpu": 2}', 0.5, 2, now() + interval '1 hour' from generate_series(1, 5) n;
      insert into clusters (id, name, state, epoch, spec, coordinator, links, operation_id, activated_at) values ('cl', 'crew',
        'active', 4, '{"name": "crew", "requiredCapabilities": ["work"], "labels": {}, "roles": [],
          "size": {"min": 2, "desired": 3, "max": 5}, "resources": {"gpu": 1}, "spread": null}', 'a1', '[["a1", "a2"]]',
        'op', now());
      insert into memberships (cluster_id, agent_id, state, roles, resources, operation_id, epoch, joined_at, left_at) values
        ('cl', 'a1', 'active', '{lead}', '{"gpu": 1}', 'op', 1, now(), null),
        ('cl', 'a2', 'active', '{}', '{"gpu": 1}', 'op', 1, now(), null),
        ('cl', 'a3', 'active', '{}', '{"gpu": 1}', 'op', 4, now(), null),
        ('cl', 'a4', 'reserved', '{}', '{"gpu": 1}', 'repair', null, null, null),
        ('cl', 'a5', 'released', '{}', '{"gpu": 1}', 'op', 1, now(), now());
      insert into membership_epochs (cluster_id, epoch, agent_id, roles) values
        ('cl', 4, 'a1', '{lead}'), ('cl', 4, 'a2', '{}'), ('cl', 4, 'a3', '{}')`.execute(db);
    await upgrade(db, clustersMigrations);

    expect(await clusterView(db, 'cl')).toMatchObject({
      state: 'active',
      epoch: 4,
      coordinator: 'a1',
      size: { min: 2, desired: 3, max: 5 },
      links: [['a1', 'a2']],
      members: [
        { agentId: 'a1', roles: ['lead'], state: 'active' },
        { agentId: 'a2', roles: [], state: 'active' },
        { agentId: 'a3', roles: [], state: 'active' },
        { agentId: 'a4', roles: [], state: 'reserved' },
      ],
    });
    expect((await membershipsOf(db, 'cl')).map(({ agentId, clusterCount }) => [agentId, clusterCount])).toEqual([
      ['a1', 1],
      ['a2', 1],
      ['a3', 1],
      ['a4', 1],
    ]);
    // What an older build kept of load may never have been told: it counts from the next heartbeat on.
    const told = async () => (await scalingMembers(db, ['cl'])).map(({ tellsLoad, load }) => [tellsLoad, load]);
    expect(await told()).toEqual(Array.from({ length: 3 }, () => [false, 0.5]));
    await saveHeartbeats(db, new Map([['a1', { load: 0.25 }]]), 60);
    expect((await told())[0]).toEqual([true, 0.25]);

    const plan = { clusterId: 'cl', operationId: 'shrink', epoch: 5, coordinator: 'a1', leaving: ['a3'], desired: 2 };
    await db.transaction().execute((tx) => startLeaving(tx, plan));
    expect((await membershipsOf(db, 'cl')).map(({ agentId }) => agentId)).toEqual(['a1', 'a2', 'a4']);
    expect(await clusterView(db, 'cl')).toMatchObject({ epoch: 5, size: { min: 2, desired: 2, max: 5 } });
    expect(await findAgent(db, 'a3')).toMatchObject({ clusters: ['cl'], held: { gpu: 1 } });
    expect(await db.transaction().execute((tx) => releaseLeaving(tx, 'shrink'))).toEqual(['a3']);
    expect(await findAgent(db, 'a3')).toMatchObject({ clusters: [], held: {} });
  });
});

describe('communication_db', () => {
  it('of the first build keeps its mail and routes: what was open is handed over, what was acked is not', async () => {
    const db = await databaseAt<CommunicationDb>(communicationMigrations, '0001-inboxes-and-routes');
    const members = [
      { agentId: 'a', roles: ['lead'] },
      { agentId: 'b', roles: [] },
    ];
    await sql`
      insert into inboxes (agent_id) values ('a'), ('b');
      insert into routed_clusters (cluster_id, state) values ('cl', 'open'), ('cl_closed', 'closed')`.execute(db);
    const mail = (n: number) => ({
      message: { id: `msg_${n}`, source: 'mgr', type: 'note', clusterId: 'cl', epoch: n, data: { n } },
      recipients: ['a', 'b'],
    });
    for (const epoch of [1, 2]) {
      await sql`select route_and_deliver('cl', ${epoch}, ${JSON.stringify(members)}::jsonb,
        ${JSON.stringify([mail(epoch)])}::jsonb)`.execute(db);
    }
    await sql`
      update deliveries set state = 'acked', attempts = 1, acked_at = now() where recipient_id = 'a' and sequence = 1;
      update deliveries set state = 'leased', attempts = 1, lease_token = 'x', lease_expires_at = now() + interval '1 hour'
        where recipient_id = 'b' and sequence = 1`.execute(db);
    await upgrade(db, communicationMigrations);

    const [forA, forB] = [await take(db, 'a'), await take(db, 'b')];
    expect(forA.map(({ delivery, data }) => [delivery.sequence, delivery.attempt, data])).toEqual([[2, 1, '{"n": 2}']]);
    expect(forB.map(({ delivery }) => [delivery.sequence, delivery.attempt])).toEqual([
      [1, 2],
      [2, 1],
    ]);
    expect(
      (await ack(db, [...forA.map((one) => claimOf('a', one)), ...forB.map((one) => claimOf('b', one))])).size,
    ).toBe(3);
    expect(await findMessages(db, 'msg_1')).toMatchObject([{ kind: 'manager', clusterId: 'cl', epoch: 1, matched: 2 }]);
    expect(await routingTable(db, 'cl')).toEqual({ epoch: 2, members });
    expect(await openTables(db)).toMatchObject([{ clusterId: 'cl', epoch: 2 }]);

    await deliver(db, mail(2).message, ['a']);
    await routeAndDeliver(db, { clusterId: 'cl', epoch: 3, members }, [mail(3)]);
    expect((await take(db, 'a')).map(({ delivery }) => delivery.sequence)).toEqual([3]);
    const closed = { clusterId: 'cl_closed', epoch: 1, members };
    await expect(routeAndDeliver(db, closed, [])).rejects.toMatchObject({ code: 'operation_ended' });
  });

  it('of the second build keeps both parts of its batches, and mail that is under way', async () => {
    const db = await databaseAt<CommunicationDb>(communicationMigrations, '0002-mail-and-topics');
    const parts = { messages: [{ n: 1 }, { n: 2 }], broadcasts: [{ to: 'all' }] };
    await sql`
      insert into batches (id, owner, parts) values ('both', 'orchestrator', ${JSON.stringify(parts)}::jsonb),
        ('one', 'orchestrator', ${JSON.stringify({ messages: parts.messages })}::jsonb)`.execute(db);
    await sql`insert into inboxes (agent_id) values ('a')`.execute(db);
    const message = { id: 'msg_1', source: 'mgr', type: 'note', clusterId: null, epoch: null, data: { n: 1 } };
    await deliver(db, message, ['a']);
    await upgrade(db, communicationMigrations);

    expect(await findBatchPart(db, 'both', 'messages')).toEqual({ owner: 'orchestrator', items: parts.messages });
    expect(await findBatchPart(db, 'both', 'broadcasts')).toEqual({ owner: 'orchestrator', items: parts.broadcasts });
    expect(await findBatchPart(db, 'one', 'messages')).toMatchObject({ items: parts.messages });
    expect(await findBatchPart(db, 'one', 'broadcasts')).toMatchObject({ items: [] });
    expect(await storeBatch(db, { id: 'new', owner: 'orchestrator', parts })).toBe(true);
    expect((await take(db, 'a')).map(({ delivery, data }) => [delivery.message.id, data])).toEqual([
      ['msg_1', '{"n": 1}'],
    ]);
  });
});
