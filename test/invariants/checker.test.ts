import { sql, type Kysely } from 'kysely';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { callActivities, dissolveDirectly, formDirectly } from '../concurrency/run-formation.js';
import { checkInvariants, invariants } from '../support/checker.js';
import { createTestDatabases, type TestDatabases } from '../support/database.js';
import { addAgents } from '../support/fleet.js';
import { inCommunication } from './in-communication.js';
import { inResources } from './in-resources.js';
import { ofScaling } from './of-scaling.js';

/**
 * The checker is the judge of every crash test, so it is tried itself: for each invariant the data is damaged by hand,
 * and exactly that invariant must be named.
 */
const damages: Readonly<
  Record<string, { readonly in: 'clusters' | 'communication' | 'resources'; readonly by: string }>
> = {
  'an agent is in at most maxClusters clusters': {
    in: 'clusters',
    by: `alter table agents drop constraint agents_at_most_max_clusters;
           update agents set max_clusters = 1 where id = 'agent-0'`,
  },
  'an agent counts its live memberships': {
    in: 'clusters',
    by: `update agents set cluster_count = 1 where id = 'agent-0'`,
  },
  'an agent holds the sum of what its live memberships take': {
    in: 'clusters',
    by: `update agents set held = '{"slots": 1}' where id = 'agent-0'`,
  },
  'an agent holds no more than it offers': {
    in: 'clusters',
    by: `alter table agents drop constraint agents_held_within_offer;
           update agents set resources = '{"slots": 1}' where id = 'agent-0'`,
  },
  'an active cluster has between size.min and size.max members': {
    in: 'clusters',
    by: `update clusters set spec = jsonb_set(spec, '{size,min}', '4') where id = 'cl_first'`,
  },
  'a failed cluster has no active member': {
    in: 'clusters',
    by: `insert into clusters (id, name, state, spec, operation_id) values ('cl_odd', 'odd', 'failed', '{}', 'refused');
           insert into memberships (cluster_id, agent_id, state, operation_id) values ('cl_odd', 'spare-0', 'active', 'refused')`,
  },
  'a cluster that ended holds nobody': {
    in: 'clusters',
    by: `insert into memberships (cluster_id, agent_id, state, operation_id) values ('cl_ended', 'spare-0', 'active', 'ended')`,
  },
  'a reservation belongs to an operation under way': {
    in: 'clusters',
    by: `insert into memberships (cluster_id, agent_id, state, operation_id) values ('cl_nowhere', 'spare-0', 'reserved', 'first')`,
  },
  'the current epoch lists the active members': {
    in: 'clusters',
    by: `update membership_epochs set roles = '{chief}' where cluster_id = 'cl_first' and agent_id = 'agent-0'`,
  },
  'the coordinator of an active cluster is one of its members': {
    in: 'clusters',
    by: `update clusters set coordinator = 'spare-0' where id = 'cl_first'`,
  },
  'every operation ends': {
    in: 'clusters',
    by: `insert into operations (id, kind, state, cluster_id, workflow_id, request, request_hash, requested_by)
           values ('odd', 'FORMATION', 'running', 'cl_odd', 'w', '{}', 'h', 't')`,
  },
  'an operation has an end exactly when it is over': {
    in: 'clusters',
    by: `update operations set ended_at = null where id = 'first'`,
  },
  'a formation is completed exactly when its last step was saved, and has its result': {
    in: 'clusters',
    by: `update operation_steps set result = '{}' where operation_id = 'first' and step = 'initializeCluster'`,
  },
  'a completed formation took all four steps and undid none': {
    in: 'clusters',
    by: `insert into operation_steps (operation_id, step, attempt, started_at, result)
           values ('first', 'undo:identifyAgents', 1, now(), 'null')`,
  },
  'what did not complete has every step undone': {
    in: 'clusters',
    by: `delete from operation_steps where operation_id = 'refused' and step = 'undo:identifyAgents'`,
  },
  'a formation that did not complete leaves no live cluster': {
    in: 'clusters',
    by: `update clusters set operation_id = 'refused' where id = 'cl_ended'`,
  },
  'no cluster stays between two states': {
    in: 'clusters',
    by: `insert into clusters (id, name, state, spec, operation_id) values ('cl_odd', 'odd', 'forming', '{}', 'first')`,
  },
  'a step of an operation takes effect once a round': {
    in: 'clusters',
    by: `alter table operation_steps drop constraint operation_steps_pkey;
           insert into operation_steps select * from operation_steps where operation_id = 'first' and step = 'defineCluster'`,
  },
  'an operation announces its end once': {
    in: 'clusters',
    by: `insert into events (seq, id, type, subject, operation_id, data)
             select last_seq + 1, 'again', 'cluster.formed', 'cl_first', 'first', '{}' from event_head;
           update event_head set last_seq = last_seq + 1`,
  },
  'the members that a formation reports are those of its epoch': {
    in: 'clusters',
    by: `update operation_steps set result = jsonb_set(result, '{members,0,agentId}', '"nobody"')
             where operation_id = 'first' and step = 'initializeCluster';
           update operations set result = jsonb_set(result, '{members,0,agentId}', '"nobody"') where id = 'first'`,
  },
  'the event log is dense': { in: 'clusters', by: `update event_head set last_seq = last_seq + 1` },
  'an active cluster has an open account': {
    in: 'resources',
    by: `update accounts set state = 'closed' where cluster_id = 'cl_first'`,
  },
  'an open account belongs to an active cluster': {
    in: 'resources',
    by: `update accounts set state = 'open' where cluster_id = 'cl_ended'`,
  },
  'an active cluster is open to routing': {
    in: 'communication',
    by: `update routed_clusters set state = 'closed' where cluster_id = 'cl_first'`,
  },
  'open routes belong to an active cluster': {
    in: 'communication',
    by: `update routed_clusters set state = 'open' where cluster_id = 'cl_ended';
           insert into routed_members (cluster_id, agent_id, roles)
             select cluster_id, m ->> 'agentId', m -> 'roles' from routing_tables t, jsonb_array_elements(t.members) m
             where cluster_id = 'cl_ended'`,
  },
  'an active cluster is routed to the members of its epoch': {
    in: 'communication',
    by: `delete from routed_members r using routing_tables t where t.cluster_id = 'cl_first'
             and r.cluster_id = t.cluster_id and r.agent_id = t.members -> 0 ->> 'agentId';
           update routing_tables set members = members - 0 where cluster_id = 'cl_first'`,
  },
  'nothing is routed for an epoch to come': {
    in: 'communication',
    by: `insert into routing_tables (cluster_id, epoch, members) values ('cl_first', 2, '[]');
           update routed_clusters set epoch = 2 where cluster_id = 'cl_first';
           delete from routed_members where cluster_id = 'cl_first'`,
  },
  'a member is told once that it joined, for the epoch at which it did': {
    in: 'communication',
    by: `update messages set type = 'note' where type = 'cluster.joined' and cluster_id = 'cl_first'`,
  },
  'who was told of an active cluster last is told its present epoch': {
    in: 'communication',
    by: `insert into messages (id, source, kind, type, cluster_id, epoch, data, matched, expires_at)
             values ('future', 't', 'manager', 'cluster.changed', 'cl_first', 7, '{}', 1, now() + interval '1 day');
           insert into deliveries (inbox_no, sequence, message_no, via, accepted_at, expires_at)
             select i.no, i.next_sequence, m.no, 'manager', m.time, m.expires_at
             from inboxes i, messages m where i.agent_id = 'agent-0' and m.id = 'future';
           update inboxes set next_sequence = next_sequence + 1 where agent_id = 'agent-0'`,
  },
  'who was told of a cluster that is no more is told its end, and that last': {
    in: 'communication',
    by: `update messages set type = 'note' where type = 'cluster.dissolved'`,
  },
};

let stores: TestDatabases;

/** Two clusters of the same three agents, one dissolved cluster, one refused request. */
beforeAll(async () => {
  stores = await createTestDatabases();
  const call = callActivities(stores);
  await addAgents(stores.clusters, 3, { capabilities: ['work'], maxClusters: 2, resources: { slots: 4 } });
  await addAgents(stores.clusters, 1, { capabilities: ['spare'], maxClusters: 2 }, 'spare');
  const request = { name: 'x', requiredCapabilities: ['work'], resources: { slots: 1 } };
  for (const requestId of ['ended', 'first', 'second']) {
    expect(await formDirectly(call, { ...request, requestId })).toMatchObject({ state: 'formed' });
    if (requestId === 'ended') await dissolveDirectly(call, 'cl_ended');
  }
  expect(await formDirectly(call, { ...request, requestId: 'refused' })).toMatchObject({ state: 'refused' });
});
afterAll(() => stores?.drop());

/** What the checker says of damaged data; the damage is rolled back. */
async function checkDamaged(damage: (typeof damages)[string]): Promise<string[]> {
  let named: string[] = [];
  const undo = new Error('undo the damage');
  const transaction = (stores[damage.in] as Kysely<unknown>).transaction().execute(async (tx) => {
    await sql.raw(damage.by).execute(tx);
    named = (await checkInvariants({ ...stores, [damage.in]: tx })).map((violation) => violation.name);
    throw undo;
  });
  await expect(transaction).rejects.toBe(undo);
  return named;
}

describe('the checker', () => {
  it('finds nothing in data that the manager wrote', async () => {
    expect(await checkInvariants(stores)).toEqual([]);
  });

  it('is tried on every invariant it has, but for those of communication and of scaling, which have files of their own', () => {
    const elsewhere = [...inCommunication, ...inResources, ...ofScaling];
    const others = invariants.filter((invariant) => !elsewhere.includes(invariant));
    expect(Object.keys(damages).sort()).toEqual(others.map(({ name }) => name).sort());
  });

  it.each(Object.entries(damages))('names exactly: %s', async (name, damage) => {
    expect(await checkDamaged(damage)).toEqual([name]);
  });
});
