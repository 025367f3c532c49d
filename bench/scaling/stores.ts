import { sql } from 'kysely';
import { clustersDatabase, type ClustersSchema } from '../../src/stores/clusters/index.js';
import { communicationDatabase, type CommunicationSchema } from '../../src/stores/communication/index.js';
import { openDatabase } from '../../src/stores/database.js';
import { migrate } from '../../src/stores/migrate.js';
import { resourcesDatabase, type ResourcesSchema } from '../../src/stores/resources/index.js';
import type { Stack } from '../../src/dev-stack/stack.js';

/** Opens and migrates the three databases of a stack. */
export async function openStores({ env }: Stack) {
  const options = { applicationName: 'bench', statementTimeoutMs: 900_000 };
  const clusters = openDatabase<ClustersSchema>({ ...options, url: env['CLUSTERS_DATABASE_URL'] ?? '' });
  const communication = openDatabase<CommunicationSchema>({ ...options, url: env['COMMUNICATION_DATABASE_URL'] ?? '' });
  const resources = openDatabase<ResourcesSchema>({ ...options, url: env['RESOURCES_DATABASE_URL'] ?? '' });
  await migrate({ url: env['CLUSTERS_DATABASE_URL'] ?? '', applicationName: 'bench' }, clustersDatabase);
  await migrate({ url: env['COMMUNICATION_DATABASE_URL'] ?? '', applicationName: 'bench' }, communicationDatabase);
  await migrate({ url: env['RESOURCES_DATABASE_URL'] ?? '', applicationName: 'bench' }, resourcesDatabase);
  return {
    clusters,
    communication,
    resources,
    /** Inserts agents that are members of no cluster. */
    insertFreeAgents: async (count: number): Promise<void> => {
      await sql`
        insert into agents (id, capabilities, resources, lease_expires_at, registered_at)
        select 'spare-' || i, '{work}', '{"slots": 4}', now() + interval '1 day', now()
        from generate_series(1, ${count}::integer) i`.execute(clusters);
    },
    close: () => Promise.all([clusters.destroy(), communication.destroy(), resources.destroy()]),
  };
}

export type Stores = Awaited<ReturnType<typeof openStores>>;
