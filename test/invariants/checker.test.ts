import { sql, type Kysely } from 'kysely';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { callActivities, dissolveDirectly, formDirectly } from '../concurrency/run-formation.js';
import { checkInvariants, invariants } from '../support/checker.js';
import { createTestDatabases, type TestDatabases } from '../support/database.js';
import { addAgents } from '../support/fleet.js';
import { communicationInvariants } from './communication-db.js';
import { resourcesInvariants } from './resources-db.js';
import { scalingInvariants } from './scaling.js';

/**
 * Every crash test relies on the checker, so these tests check the checker: for each invariant they corrupt the data, and
 * the checker must report exactly that invariant.
 */
const corruptions: Readonly<
  Record<string, { readonly in: 'clusters' | 'communication' | 'resources'; readonly by: string }>
> = {
  'an agent is in at most maxClusters clusters': {
    in: 'clusters',
    by: `alter table agents drop constraint agents_at_most_max_clusters;
           update agents set max_clusters = 1 where id = 'agent-0'`,
  },
  "an agent's cluster count equals the number of its live memberships": {
    in: 'clusters',
    by: `update agents set cluster_count = 1 where id = 'agent-0'`,
  },
  "an agent's held resources equal the sum over its live memberships": {
    in: 'clusters',
    by: `update agents set held = '{"slots": 1}' where id = 'agent-0'`,
  },
  "an agent's held resources stay within what it offers": {
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
  'a failed or dissolved cluster has no live membership': {
    in: 'clusters',
    by: `insert into memberships (cluster_id, agent_id, state, operation_id) values ('cl_ended', 'spare-0', 'active', 'ended')`,
  },
  'a reservation belongs to a running or queued operation': {
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
  'no operation stays running or queued': {
    in: 'clusters',
    by: `insert into operations (id, kind, state, cluster_id, workflow_id, request, request_hash, requested_by)
           values ('odd', 'FORMATION', 'running', 'cl_odd', 'w', '{}', 'h', 't')`,
  },
  'an operation has an end time exactly when it is in a final state': {
    in: 'clusters',
    by: `update operations set ended_at = null where id = 'first'`,
  },
  "a formation is completed exactly when its last step was saved, with that step's result": {
    in: 'clusters',
    by: `update operation_steps set result = '{}' where operation_id = 'first' and step = 'initializeCluster'`,
  },
  'a completed formation saved all four steps and undid none': {
    in: 'clusters',
    by: `insert into operation_steps (operation_id, step, attempt, started_at, result)
           values ('first', 'undo:identifyAgents', 1, now(), 'null')`,
  },
  'an operation that did not complete has every saved step undone': {
    in: 'clusters',
    by: `delete from operation_steps where operation_id = 'refused' and step = 'undo:identifyAgents'`,
  },
  'a formation that did not complete leaves no live cluster': {
    in: 'clusters',
    by: `update clusters set operation_id = 'refused' where id = 'cl_ended'`,
  },
  'no cluster stays forming or dissolving': {
    in: 'clusters',
    by: `insert into clusters (id, name, state, spec, operation_id) values ('cl_odd', 'odd', 'forming', '{}', 'first')`,
  },
  'a step of an operation is saved at most once per round': {
    in: 'clusters',
    by: `alter table operation_steps drop constraint operation_steps_pkey;
           insert into operation_steps select * from operation_steps where operation_id = 'first' and step = 'defineCluster'`,
  },
  'an operation adds at most one event to the event log': {
    in: 'clusters',
    by: `insert into events (seq, id, type, subject, operation_id, data)
             select last_seq + 1, 'again', 'cluster.formed', 'cl_first', 'first', '{}' from event_head;
           update event_head set last_seq = last_seq + 1`,
  },
  "the members in a formation's result are those of its epoch": {
    in: 'clusters',
    by: `update operation_steps set result = jsonb_set(result, '{members,0,agentId}', '"nobody"')
             where operation_id = 'first' and step = 'initializeCluster';
           update operations set result = jsonb_set(result, '{members,0,agentId}', '"nobody"') where id = 'first'`,
  },
  'the event log is numbered without gaps': { in: 'clusters', by: `update event_head set last_seq = last_seq + 1` },
  'an active cluster has an open account': {
    in: 'resources',
    by: `update accounts set state = 'closed' where cluster_id = 'cl_first'`,
  },
  'an open account belongs to an active cluster': {
    in: 'resources',
    by: `update accounts set state = 'open' where cluster_id = 'cl_ended'`,
  },
  'an active cluster has an open route': {
    in: 'communication',
    by: `update routed_clusters set state = 'closed' where cluster_id = 'cl_first'`,
  },
  'an open route belongs to an active cluster': {
    in: 'communication',
    by: `update routed_clusters set state = 'open' where cluster_id = 'cl_ended';
           insert into routed_members (cluster_id, agent_id, roles)
             select cluster_id, m ->> 'agentId', m -> 'roles' from routing_tables t, jsonb_array_elements(t.members) m
             where cluster_id = 'cl_ended'`,
  },
  "an active cluster's routing table lists the members of its epoch": {
    in: 'communication',
    by: `delete from routed_members r using routing_tables t where t.cluster_id = 'cl_first'
             and r.cluster_id = t.cluster_id and r.agent_id = t.members -> 0 ->> 'agentId';
           update routing_tables set members = members - 0 where cluster_id = 'cl_first'`,
  },
  "no routing table is newer than its cluster's epoch": {
    in: 'communication',
    by: `insert into routing_tables (cluster_id, epoch, members) values ('cl_first', 2, '[]');
           update routed_clusters set epoch = 2 where cluster_id = 'cl_first';
           delete from routed_members where cluster_id = 'cl_first'`,
  },
  'a member receives cluster.joined once, for the epoch at which it joined': {
    in: 'communication',
    by: `update messages set type = 'note' where type = 'cluster.joined' and cluster_id = 'cl_first'`,
  },
  'the last cluster message that a member of an active cluster received names the current epoch': {
    in: 'communication',
    by: `insert into messages (id, source, kind, type, cluster_id, epoch, data, matched, expires_at)
             values ('future', 't', 'manager', 'cluster.changed', 'cl_first', 7, '{}', 1, now() + interval '1 day');
           insert into deliveries (inbox_no, sequence, message_no, via, accepted_at, expires_at)
             select i.no, i.next_sequence, m.no, 'manager', m.time, m.expires_at
             from inboxes i, messages m where i.agent_id = 'agent-0' and m.id = 'future';
           update inboxes set next_sequence = next_sequence + 1 where agent_id = 'agent-0'`,
  },
  'a member that was informed about an ended cluster receives cluster.dissolved once, as the last message about it': {
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

/** @returns the names of the invariants that the checker reports for corrupted data. The corruption is rolled back. */
async function checkCorrupted(corruption: (typeof corruptions)[string]): Promise<string[]> {
  let reported: string[] = [];
  const rollBack = new Error('roll the corruption back');
  const transaction = (stores[corruption.in] as Kysely<unknown>).transaction().execute(async (tx) => {
    await sql.raw(corruption.by).execute(tx);
    reported = (await checkInvariants({ ...stores, [corruption.in]: tx })).map((violation) => violation.name);
    throw rollBack;
  });
  await expect(transaction).rejects.toBe(rollBack);
  return reported;
}

describe('checkInvariants', () => {
  it('the checker reports nothing for data that the manager wrote', async () => {
    expect(await checkInvariants(stores)).toEqual([]);
  });

  it('every invariant outside communication and scaling has a corruption that violates it', () => {
    const elsewhere = [...communicationInvariants, ...resourcesInvariants, ...scalingInvariants];
    const others = invariants.filter((invariant) => !elsewhere.includes(invariant));
    expect(Object.keys(corruptions).sort()).toEqual(others.map(({ name }) => name).sort());
  });

  it.each(Object.entries(corruptions))(
    'the checker reports exactly the corrupted invariant: %s',
    async (name, corruption) => {
      expect(await checkCorrupted(corruption)).toEqual([name]);
    },
  );
});
