import { sql } from 'kysely';
import { copies } from './copies.js';
import type { Invariant, Stores } from './invariant.js';

/** A message of the manager about a cluster, in a member's inbox. */
interface Told {
  readonly cluster_id: string;
  readonly epoch: number | null;
  readonly type: string;
  readonly recipient_id: string;
  readonly sequence: number;
}

/** What the three databases say of every cluster, read when nobody writes. */
async function readEverything({ clusters, communication, resources }: Stores) {
  const [rows, memberships, epochs, routed, tables, { rows: told }, accounts] = await Promise.all([
    clusters.selectFrom('clusters').select(['id', 'state', 'epoch']).execute(),
    clusters
      .selectFrom('memberships')
      .select(['cluster_id', 'agent_id', 'epoch'])
      .where('state', '=', 'active')
      .execute(),
    clusters.selectFrom('membership_epochs').select(['cluster_id', 'epoch', 'agent_id']).execute(),
    communication.selectFrom('routed_clusters').select(['cluster_id', 'state']).execute(),
    communication.selectFrom('routing_tables').select(['cluster_id', 'epoch', 'members']).execute(),
    sql<Told>`
      select m.cluster_id, m.epoch, m.type, i.agent_id as recipient_id, c.sequence
      from ${sql.raw(copies)} c join messages m on m.no = c.message_no join inboxes i on i.no = c.inbox_no
      where m.kind = 'manager' and m.type in ('cluster.joined', 'cluster.changed', 'cluster.dissolved')`.execute(
      communication,
    ),
    resources.selectFrom('accounts').select(['cluster_id', 'state']).execute(),
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
    const open = new Set(accounts.filter((account) => account.state === 'open').map((account) => account.cluster_id));
    return active.filter((cluster) => !open.has(cluster.id));
  }),
  quietly('an open account belongs to an active cluster', ({ isActive, accounts }) =>
    accounts.filter((account) => account.state === 'open' && !isActive.has(account.cluster_id)),
  ),
  quietly('an active cluster is open to routing', ({ active, routed }) => {
    const open = new Set(routed.filter((route) => route.state === 'open').map((route) => route.cluster_id));
    return active.filter((cluster) => !open.has(cluster.id));
  }),
  quietly('open routes belong to an active cluster', ({ isActive, routed }) =>
    routed.filter((route) => route.state === 'open' && !isActive.has(route.cluster_id)),
  ),
  quietly('an active cluster is routed to the members of its epoch', ({ active, epochs, tables }) =>
    active.flatMap(({ id, epoch }) => {
      const members = epochs.filter((row) => row.cluster_id === id && row.epoch === epoch).map((row) => row.agent_id);
      const table = tables.find((row) => row.cluster_id === id && row.epoch === epoch);
      if (table && sorted(members) === sorted(table.members.map((member) => member.agentId))) return [];
      return [{ id, epoch, members, routed: table?.members ?? null }];
    }),
  ),
  quietly('nothing is routed for an epoch to come', ({ active, tables }) =>
    active.flatMap(({ id, epoch }) => tables.filter((table) => table.cluster_id === id && table.epoch > epoch)),
  ),
  quietly('a member is told once that it joined, for the epoch at which it did', ({ isActive, memberships, told }) =>
    memberships
      .filter((member) => isActive.has(member.cluster_id))
      .flatMap((member) => {
        const deliveries = told.filter(
          (row) =>
            row.type === 'cluster.joined' &&
            row.recipient_id === member.agent_id &&
            row.cluster_id === member.cluster_id &&
            row.epoch === member.epoch,
        );
        return deliveries.length === 1 ? [] : [{ ...member, deliveries: deliveries.length }];
      }),
  ),
  quietly('who was told of an active cluster last is told its present epoch', ({ active, memberships, told }) =>
    active.flatMap(({ id, epoch }) =>
      memberships
        .filter((member) => member.cluster_id === id)
        .flatMap(({ agent_id }) => {
          const epochs = told
            .filter((row) => row.cluster_id === id && row.recipient_id === agent_id && row.type !== 'cluster.dissolved')
            .map((row) => row.epoch ?? 0);
          // Never told at all is another invariant's business.
          return epochs.length === 0 || Math.max(...epochs) === epoch ? [] : [{ id, agent_id, epoch, told: epochs }];
        }),
    ),
  ),
  quietly('who was told of a cluster that is no more is told its end, and that last', ({ isActive, tables, told }) => {
    const last = new Map<string, Everything['tables'][number]>();
    for (const table of tables) {
      if (table.epoch > (last.get(table.cluster_id)?.epoch ?? -1)) last.set(table.cluster_id, table);
    }
    return [...last.values()]
      .filter((table) => !isActive.has(table.cluster_id))
      .flatMap(({ cluster_id, members }) =>
        members.flatMap(({ agentId }) => {
          const heard = told
            .filter((row) => row.cluster_id === cluster_id && row.recipient_id === agentId)
            .sort((a, b) => a.sequence - b.sequence)
            .map((row) => row.type);
          if (heard.length === 0) return [];
          const ends = heard.filter((type) => type === 'cluster.dissolved').length;
          return ends === 1 && heard.at(-1) === 'cluster.dissolved' ? [] : [{ cluster_id, agentId, heard }];
        }),
      );
  }),
];
