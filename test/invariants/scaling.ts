import { sql } from 'kysely';
import { inDatabase, type Invariant, type Stores } from './invariant.js';

const clusters = inDatabase('clusters');

/** What two databases store about scaling. Read it only while nothing writes. */
async function readScaling({ clusters: inClusters, resources }: Stores) {
  const [rows, operations, joined, left, held, requests, decisions, changes] = await Promise.all([
    inClusters.selectFrom('clusters').select(['id', 'state']).execute(),
    inClusters.selectFrom('operations').select(['id', 'kind', 'state', 'result']).execute(),
    inClusters
      .selectFrom('memberships')
      .select(['operationId as by', 'agentId'])
      .where('joinedAt', 'is not', null)
      .execute(),
    inClusters.selectFrom('memberships').select(['leftBy as by', 'agentId']).where('leftBy', 'is not', null).execute(),
    sql<{ clusterId: string; id: string }>`select cluster_id, id::text from allocations where state = 'held'`.execute(
      resources,
    ),
    sql<{ clusterId: string; id: string; operationId: string }>`
      select cluster_id, id, operation_id from capacity_requests where state = 'open'`.execute(resources),
    sql<{ id: string; operationId: string }>`
      select id, operation_id from decisions where outcome is null and operation_id is not null`.execute(resources),
    sql<{ by: string; direction: 'out' | 'in'; members: number }>`
      select operation_id as by, direction, sum(members)::int as members from scaling_changes
      where operation_id is not null group by 1, 2`.execute(resources),
  ]);
  const ofKind = operations.filter(({ kind }) => kind === 'SCALING');
  return {
    known: new Set(rows.filter(({ state }) => state === 'active' || state === 'dissolving').map(({ id }) => id)),
    running: new Set(operations.filter(({ state }) => state === 'running').map(({ id }) => id)),
    scalings: ofKind,
    joined: joined.map(({ by, agentId }) => ({ by, agentId })),
    left: left.map(({ by, agentId }) => ({ by: by ?? '', agentId })),
    held: held.rows,
    requests: requests.rows,
    decisions: decisions.rows,
    changes: changes.rows,
  };
}

type Scaling = Awaited<ReturnType<typeof readScaling>>;

const whenQuiet = (name: string, find: (all: Scaling) => readonly object[]): Invariant => ({
  name,
  holds: 'quiet',
  findViolations: async (stores) => find(await readScaling(stores)),
});

const idsBy = (rows: readonly { readonly by: string; readonly agentId: string }[], operationId: string): string =>
  rows
    .filter(({ by }) => by === operationId)
    .map(({ agentId }) => agentId)
    .sort()
    .join(' ');

/** Invariants of scaling, and of the rows in resources_db that belong to it. */
export const scalingInvariants: readonly Invariant[] = [
  clusters(
    'always',
    'a member is leaving only while the operation that removes it runs',
    `select m.cluster_id, m.agent_id, m.left_by, o.state from memberships m left join operations o on o.id = m.left_by
     where m.state = 'leaving' and o.state is distinct from 'running'`,
  ),
  clusters(
    'always',
    'a member is removed only by a scaling of its own cluster',
    `select m.cluster_id, m.agent_id, m.left_by, o.kind from memberships m left join operations o on o.id = m.left_by
     where m.left_by is not null and (o.kind is distinct from 'SCALING' or o.cluster_id <> m.cluster_id)`,
  ),
  clusters(
    'always',
    "a scaling is completed exactly when verifyStability was saved, with that step's result",
    `select o.id, o.state from operations o left join operation_steps s on s.operation_id = o.id and s.step = 'verifyStability'
     where o.kind = 'SCALING' and ((o.state = 'completed') <> (s.step is not null)
       or (o.state = 'completed' and o.result is distinct from s.result))`,
  ),
  clusters(
    'always',
    'two scalings never change the same cluster at the same time',
    `with changing as (
       select o.id, o.cluster_id, min(s.ended_at) as since, coalesce(o.ended_at, 'infinity') as until
       from operations o join operation_steps s on s.operation_id = o.id
       where o.kind = 'SCALING' and s.step in ('adjustCluster:join', 'adjustCluster:leave') group by o.id
     )
     select a.cluster_id, a.id, b.id as beside from changing a
     join changing b on b.cluster_id = a.cluster_id and b.id <> a.id and a.since >= b.since and a.since < b.until`,
  ),
  whenQuiet('the agents that a scaling added and removed are those in its result', ({ scalings, joined, left }) =>
    scalings
      .filter(({ state }) => state === 'completed')
      .flatMap(({ id, result }) => {
        const reported = result as { readonly joined: readonly string[]; readonly left: readonly string[] };
        const stored = { joined: idsBy(joined, id), left: idsBy(left, id) };
        const same =
          stored.joined === [...reported.joined].sort().join(' ') &&
          stored.left === [...reported.left].sort().join(' ');
        return same ? [] : [{ id, reported: { joined: reported.joined, left: reported.left }, stored }];
      }),
  ),
  whenQuiet(
    'the recorded scaling changes are exactly those that scalings made',
    ({ scalings, joined, left, changes }) => {
      const made = scalings.flatMap(({ id }) => [
        { by: id, direction: 'out', members: joined.filter(({ by }) => by === id).length },
        { by: id, direction: 'in', members: left.filter(({ by }) => by === id).length },
      ]);
      const recorded = (by: string, direction: string): number =>
        changes.find((change) => change.by === by && change.direction === direction)?.members ?? 0;
      return [
        ...made
          .filter(({ by, direction, members }) => recorded(by, direction) !== members)
          .map((one) => ({ ...one, recorded: recorded(one.by, one.direction) })),
        ...changes.filter((change) => !scalings.some(({ id }) => id === change.by)),
      ];
    },
  ),
  whenQuiet('a decision has an outcome once its operation has ended', ({ decisions, running }) =>
    decisions.filter((decision) => !running.has(decision.operationId)),
  ),
  whenQuiet('a capacity request is open only while its operation runs', ({ requests, running }) =>
    requests.filter((request) => !running.has(request.operationId)),
  ),
  whenQuiet('held allocations and open capacity requests belong to existing clusters', ({ held, requests, known }) =>
    [...held, ...requests].filter((row) => !known.has(row.clusterId)),
  ),
];
