import { sql } from 'kysely';
import type { AllocationRow } from './allocations.js';
import type { ResourcesDb } from './schema.js';

/** A grant, held or ended. */
export async function findAllocation(db: ResourcesDb, id: number): Promise<AllocationRow | undefined> {
  const { rows } = await sql<AllocationRow>`
    select id, request_id as "requestId", cluster_id as "clusterId", operation_id as "operationId", pool, resource, amount,
      state, lease_expires_at as "leaseExpiresAt"
    from grants where id = ${id}`.execute(db);
  return rows[0];
}
