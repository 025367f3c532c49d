import { sql } from 'kysely';
import type { GrantRow } from './allocations.js';
import type { ResourcesDb } from './schema.js';

/** A grant, held or ended. */
export async function findGrant(db: ResourcesDb, id: number): Promise<GrantRow | undefined> {
  const { rows } = await sql<GrantRow>`
    select id, request_id as "requestId", cluster_id as "clusterId", operation_id as "operationId", pool, resource, amount,
      state, lease_expires_at as "leaseExpiresAt"
    from grants where id = ${id}`.execute(db);
  return rows[0];
}
