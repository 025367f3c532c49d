import { sql } from 'kysely';
import { hashToken } from '../../src/stores/clusters/index.js';
import type { Stores } from '../../src/stores/open.js';

export const tokenOf = (agentId: string): string => `cmt_bench-token-of-${agentId.padEnd(20, '-')}`;

export const numberedIds = (prefix: string, count: number): string[] =>
  Array.from({ length: count }, (_, index) => `${prefix}-${index}`);

/** Inserts registered agents, each with a token and an inbox, and with leases that outlast the bench. */
export async function insertAgents({ clusters, communication }: Stores, ids: readonly string[]): Promise<void> {
  await sql`
    insert into agents (id, capabilities, lease_expires_at)
    select id, '{work}', now() + interval '1 day' from unnest(${ids}::text[]) id`.execute(clusters);
  await sql`
    insert into tokens (id, role, name, agent_id, hash, prefix)
    select 'tok_' || id, 'agent', id, id, hash, 'cmt_benc'
    from unnest(${ids}::text[], ${ids.map((id) => hashToken(tokenOf(id)))}::bytea[]) t (id, hash)`.execute(clusters);
  await sql`insert into inboxes (agent_id) select * from unnest(${ids}::text[])`.execute(communication);
}
