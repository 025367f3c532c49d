import { sql } from 'kysely';
import { clustersDatabase, hashToken, type ClustersSchema } from '../../src/stores/clusters/index.js';
import { communicationDatabase, type CommunicationSchema } from '../../src/stores/communication/index.js';
import { openDatabase } from '../../src/stores/database.js';
import { migrate } from '../../src/stores/migrate.js';
import type { Stack } from '../../src/dev-stack/stack.js';

export const tokenOf = (agentId: string): string => `cmt_bench-token-of-${agentId.padEnd(20, '-')}`;

export const numberedIds = (prefix: string, count: number): string[] =>
  Array.from({ length: count }, (_, index) => `${prefix}-${index}`);

/** Opens and migrates clusters_db and communication_db of a stack. */
export async function openStores({ env }: Stack) {
  const clusters = openDatabase<ClustersSchema>({ url: env['CLUSTERS_DATABASE_URL'] ?? '', applicationName: 'bench' });
  const communication = openDatabase<CommunicationSchema>({
    url: env['COMMUNICATION_DATABASE_URL'] ?? '',
    applicationName: 'bench',
    statementTimeoutMs: 900_000,
  });
  await migrate({ url: env['CLUSTERS_DATABASE_URL'] ?? '', applicationName: 'bench' }, clustersDatabase);
  await migrate({ url: env['COMMUNICATION_DATABASE_URL'] ?? '', applicationName: 'bench' }, communicationDatabase);
  return { clusters, communication, close: () => Promise.all([clusters.destroy(), communication.destroy()]) };
}

export type Stores = Awaited<ReturnType<typeof openStores>>;

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
