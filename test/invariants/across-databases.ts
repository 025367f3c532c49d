import { sql } from 'kysely';
import { copies } from './copies.js';
import type { Invariant, Stores } from './invariant.js';

/** A message from the manager about a cluster, in a member's inbox. */
interface ClusterMessage {
  readonly clusterId: string;
  readonly epoch: number | null;
  readonly type: string;
  readonly recipientId: string;
  readonly sequence: number;
}

/** Every cluster as each of the three databases stores it. Read it only while nothing writes. */
async function readSnapshot({ clusters, communication, resources }: Stores) {
  const [rows, memberships, epochs, routed, tables, { rows: messages }, accounts] = await Promise.all([
    clusters.selectFrom('clusters').select(['id', 'state', 'epoch']).execute(),
    clusters
      .selectFrom('memberships')
      .select(['clusterId', 'agentId', 'epoch'])
      .where('state', '=', 'active')
      .execute(),
    clusters.selectFrom('membershipEpochs').select(['clusterId', 'epoch', 'agentId']).execute(),
    communication.selectFrom('routedClusters').select(['clusterId', 'state']).execute(),
    communication.selectFrom('routingTables').select(['clusterId', 'epoch', 'members']).execute(),
    sql<ClusterMessage>`
      select m.cluster_id, m.epoch, m.type, i.agent_id as recipient_id, c.sequence
      from ${sql.raw(copies)} c join messages m on m.no = c.message_no join inboxes i on i.no = c.inbox_no
      where m.kind = 'manager' and m.type in ('cluster.joined', 'cluster.changed', 'cluster.dissolved')`.execute(
      communication,
    ),
    resources.selectFrom('accounts').select(['clusterId', 'state']).execute(),
  ]);
  const active = rows.filter((cluster) => cluster.state === 'active');
  const isActive = new Set(active.map((cluster) => cluster.id));
  return { active, isActive, memberships, epochs, routed, tables, messages, accounts };
}

type Snapshot = Awaited<ReturnType<typeof readSnapshot>>;

const whenQuiet = (name: string, find: (all: Snapshot) => readonly object[]): Invariant => ({
  name,
  holds: 'quiet',
  findViolations: async (stores) => find(await readSnapshot(stores)),
});

const sorted = (ids: readonly string[]): string => [...ids].sort().join(' ');

export const crossDatabaseInvariants: readonly Invariant[] = [
  whenQuiet('an active cluster has an open account', ({ active, accounts }) => {
    const open = new Set(accounts.filter((account) => account.state === 'open').map((account) => account.clusterId));
    return active.filter((cluster) => !open.has(cluster.id));
  }),
  whenQuiet('an open account belongs to an active cluster', ({ isActive, accounts }) =>
    accounts.filter((account) => account.state === 'open' && !isActive.has(account.clusterId)),
  ),
  whenQuiet('an active cluster has an open route', ({ active, routed }) => {
    const open = new Set(routed.filter((route) => route.state === 'open').map((route) => route.clusterId));
    return active.filter((cluster) => !open.has(cluster.id));
  }),
  whenQuiet('an open route belongs to an active cluster', ({ isActive, routed }) =>
    routed.filter((route) => route.state === 'open' && !isActive.has(route.clusterId)),
  ),
  whenQuiet("an active cluster's routing table lists the members of its epoch", ({ active, epochs, tables }) =>
    active.flatMap(({ id, epoch }) => {
      const members = epochs.filter((row) => row.clusterId === id && row.epoch === epoch).map((row) => row.agentId);
      const table = tables.find((row) => row.clusterId === id && row.epoch === epoch);
      if (table && sorted(members) === sorted(table.members.map((member) => member.agentId))) return [];
      return [{ id, epoch, members, routed: table?.members ?? null }];
    }),
  ),
  whenQuiet("no routing table is newer than its cluster's epoch", ({ active, tables }) =>
    active.flatMap(({ id, epoch }) => tables.filter((table) => table.clusterId === id && table.epoch > epoch)),
  ),
  whenQuiet(
    'a member receives cluster.joined once, for the epoch at which it joined',
    ({ isActive, memberships, messages }) =>
      memberships
        .filter((member) => isActive.has(member.clusterId))
        .flatMap((member) => {
          const deliveries = messages.filter(
            (row) =>
              row.type === 'cluster.joined' &&
              row.recipientId === member.agentId &&
              row.clusterId === member.clusterId &&
              row.epoch === member.epoch,
          );
          return deliveries.length === 1 ? [] : [{ ...member, deliveries: deliveries.length }];
        }),
  ),
  whenQuiet(
    'the last cluster message that a member of an active cluster received names the current epoch',
    ({ active, memberships, messages }) =>
      active.flatMap(({ id, epoch }) =>
        memberships
          .filter((member) => member.clusterId === id)
          .flatMap(({ agentId }) => {
            const epochs = messages
              .filter((row) => row.clusterId === id && row.recipientId === agentId && row.type !== 'cluster.dissolved')
              .map((row) => row.epoch ?? 0);
            // Another invariant finds members that received no message at all.
            return epochs.length === 0 || Math.max(...epochs) === epoch
              ? []
              : [{ id, agentId, epoch, received: epochs }];
          }),
      ),
  ),
  whenQuiet(
    'a member that was informed about an ended cluster receives cluster.dissolved once, as the last message about it',
    ({ isActive, tables, messages }) => {
      const last = new Map<string, Snapshot['tables'][number]>();
      for (const table of tables) {
        if (table.epoch > (last.get(table.clusterId)?.epoch ?? -1)) last.set(table.clusterId, table);
      }
      return [...last.values()]
        .filter((table) => !isActive.has(table.clusterId))
        .flatMap(({ clusterId, members }) =>
          members.flatMap(({ agentId }) => {
            const types = messages
              .filter((row) => row.clusterId === clusterId && row.recipientId === agentId)
              .sort((a, b) => a.sequence - b.sequence)
              .map((row) => row.type);
            if (types.length === 0) return [];
            const ends = types.filter((type) => type === 'cluster.dissolved').length;
            return ends === 1 && types.at(-1) === 'cluster.dissolved' ? [] : [{ clusterId, agentId, types }];
          }),
        );
    },
  ),
];
