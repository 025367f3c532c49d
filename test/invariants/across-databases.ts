import { sql } from 'kysely';
import { copies } from './copies.js';
import type { Invariant, Stores } from './invariant.js';

/** A message of the manager about a cluster, in a member's inbox. */
interface Told {
  readonly clusterId: string;
  readonly epoch: number | null;
  readonly type: string;
  readonly recipientId: string;
  readonly sequence: number;
}

/** What the three databases say of every cluster, read when nobody writes. */
async function readEverything({ clusters, communication, resources }: Stores) {
  const [rows, memberships, epochs, routed, tables, { rows: told }, accounts] = await Promise.all([
    clusters.selectFrom('clusters').select(['id', 'state', 'epoch']).execute(),
    clusters
      .selectFrom('memberships')
      .select(['clusterId', 'agentId', 'epoch'])
      .where('state', '=', 'active')
      .execute(),
    clusters.selectFrom('membershipEpochs').select(['clusterId', 'epoch', 'agentId']).execute(),
    communication.selectFrom('routedClusters').select(['clusterId', 'state']).execute(),
    communication.selectFrom('routingTables').select(['clusterId', 'epoch', 'members']).execute(),
    sql<Told>`
      select m.cluster_id, m.epoch, m.type, i.agent_id as recipient_id, c.sequence
      from ${sql.raw(copies)} c join messages m on m.no = c.message_no join inboxes i on i.no = c.inbox_no
      where m.kind = 'manager' and m.type in ('cluster.joined', 'cluster.changed', 'cluster.dissolved')`.execute(
      communication,
    ),
    resources.selectFrom('accounts').select(['clusterId', 'state']).execute(),
  ]);
  const active = rows.filter((cluster) => cluster.state === 'active');
  const isActive = new Set(active.map((cluster) => cluster.id));
  return { active, isActive, memberships, epochs, routed, tables, told, accounts };
}

type Everything = Awaited<ReturnType<typeof readEverything>>;

const quietly = (name: string, find: (all: Everything) => readonly object[]): Invariant => ({
  name,
  holds: 'quiet',
  contradictions: async (stores) => find(await readEverything(stores)),
});

const sorted = (ids: readonly string[]): string => [...ids].sort().join(' ');

export const acrossDatabases: readonly Invariant[] = [
  quietly('an active cluster has an open account', ({ active, accounts }) => {
    const open = new Set(accounts.filter((account) => account.state === 'open').map((account) => account.clusterId));
    return active.filter((cluster) => !open.has(cluster.id));
  }),
  quietly('an open account belongs to an active cluster', ({ isActive, accounts }) =>
    accounts.filter((account) => account.state === 'open' && !isActive.has(account.clusterId)),
  ),
  quietly('an active cluster is open to routing', ({ active, routed }) => {
    const open = new Set(routed.filter((route) => route.state === 'open').map((route) => route.clusterId));
    return active.filter((cluster) => !open.has(cluster.id));
  }),
  quietly('open routes belong to an active cluster', ({ isActive, routed }) =>
    routed.filter((route) => route.state === 'open' && !isActive.has(route.clusterId)),
  ),
  quietly('an active cluster is routed to the members of its epoch', ({ active, epochs, tables }) =>
    active.flatMap(({ id, epoch }) => {
      const members = epochs.filter((row) => row.clusterId === id && row.epoch === epoch).map((row) => row.agentId);
      const table = tables.find((row) => row.clusterId === id && row.epoch === epoch);
      if (table && sorted(members) === sorted(table.members.map((member) => member.agentId))) return [];
      return [{ id, epoch, members, routed: table?.members ?? null }];
    }),
  ),
  quietly('nothing is routed for an epoch to come', ({ active, tables }) =>
    active.flatMap(({ id, epoch }) => tables.filter((table) => table.clusterId === id && table.epoch > epoch)),
  ),
  quietly('a member is told once that it joined, for the epoch at which it did', ({ isActive, memberships, told }) =>
    memberships
      .filter((member) => isActive.has(member.clusterId))
      .flatMap((member) => {
        const deliveries = told.filter(
          (row) =>
            row.type === 'cluster.joined' &&
            row.recipientId === member.agentId &&
            row.clusterId === member.clusterId &&
            row.epoch === member.epoch,
        );
        return deliveries.length === 1 ? [] : [{ ...member, deliveries: deliveries.length }];
      }),
  ),
  quietly('who was told of an active cluster last is told its present epoch', ({ active, memberships, told }) =>
    active.flatMap(({ id, epoch }) =>
      memberships
        .filter((member) => member.clusterId === id)
        .flatMap(({ agentId }) => {
          const epochs = told
            .filter((row) => row.clusterId === id && row.recipientId === agentId && row.type !== 'cluster.dissolved')
            .map((row) => row.epoch ?? 0);
          // Never told at all is another invariant's business.
          return epochs.length === 0 || Math.max(...epochs) === epoch ? [] : [{ id, agentId, epoch, told: epochs }];
        }),
    ),
  ),
  quietly('who was told of a cluster that is no more is told its end, and that last', ({ isActive, tables, told }) => {
    const last = new Map<string, Everything['tables'][number]>();
    for (const table of tables) {
      if (table.epoch > (last.get(table.clusterId)?.epoch ?? -1)) last.set(table.clusterId, table);
    }
    return [...last.values()]
      .filter((table) => !isActive.has(table.clusterId))
      .flatMap(({ clusterId, members }) =>
        members.flatMap(({ agentId }) => {
          const heard = told
            .filter((row) => row.clusterId === clusterId && row.recipientId === agentId)
            .sort((a, b) => a.sequence - b.sequence)
            .map((row) => row.type);
          if (heard.length === 0) return [];
          const ends = heard.filter((type) => type === 'cluster.dissolved').length;
          return ends === 1 && heard.at(-1) === 'cluster.dissolved' ? [] : [{ clusterId, agentId, heard }];
        }),
      );
  }),
];
