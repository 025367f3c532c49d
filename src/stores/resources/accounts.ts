import { sql } from 'kysely';
import type { ResourcesDb } from './schema.js';

/** Opens a cluster's resource account once. An account that was closed stays closed. */
export async function openAccount(
  db: ResourcesDb,
  account: {
    readonly clusterId: string;
    readonly weight: number;
    readonly perMember: Readonly<Record<string, number>>;
  },
): Promise<void> {
  await sql`
    insert into accounts (cluster_id, state, weight, per_member)
    values (${account.clusterId}, 'open', ${account.weight}, ${JSON.stringify(account.perMember)}::jsonb)
    on conflict (cluster_id) do nothing`.execute(db);
}

/** Closes a cluster's account for good, whether or not it was ever open. */
export async function closeAccount(db: ResourcesDb, clusterId: string): Promise<void> {
  await sql`
    insert into accounts (cluster_id, state, weight, closed_at) values (${clusterId}, 'closed', 1, now())
    on conflict (cluster_id) do update set state = 'closed', closed_at = coalesce(accounts.closed_at, now())`.execute(
    db,
  );
}

export async function findAccount(
  db: ResourcesDb,
  clusterId: string,
): Promise<{ readonly state: 'open' | 'closed'; readonly weight: number } | undefined> {
  return db.selectFrom('accounts').select(['state', 'weight']).where('clusterId', '=', clusterId).executeTakeFirst();
}
