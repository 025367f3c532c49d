import { sql } from 'kysely';
import type { ResourcesDb } from './schema.js';

/** A cluster that wants more than it has, and has not got it yet. */
export interface OpenClaim {
  readonly clusterId: string;
  readonly weight: number;
  readonly perMember: Readonly<Record<string, number>>;
  readonly quota: Readonly<Record<string, number>>;
  /** Members in all. */
  readonly desired: number;
  readonly since: Date;
}

/** Decisions to grow that nothing has become of yet, with their accounts: who shares what is left. */
export async function openClaims(db: ResourcesDb, { limit }: { readonly limit: number }): Promise<OpenClaim[]> {
  const { rows } = await sql<OpenClaim>`
    select d.cluster_id as "clusterId", a.weight, a.per_member as "perMember", (d.decision ->> 'desired')::integer as desired,
      d.at as since, coalesce((select json_object_agg(h.resource, h.quota) from holdings h
        where h.cluster_id = d.cluster_id and h.quota is not null), '{}') as quota
    from (select distinct on (cluster_id) * from decisions
      where outcome is null and operation_id is not null and decision ->> 'direction' = 'out' and at > now() - interval '7 days'
      order by cluster_id, at desc) d
    join accounts a on a.cluster_id = d.cluster_id and a.state = 'open'
    order by d.at limit ${limit}`.execute(db);
  return rows;
}
