import type { Stack } from '../src/dev-stack/stack.js';
import type { ClustersSchema } from '../src/stores/clusters/index.js';
import type { CommunicationSchema } from '../src/stores/communication/index.js';
import { openDatabase } from '../src/stores/database.js';
import type { Stores } from '../src/stores/open.js';
import type { ResourcesSchema } from '../src/stores/resources/index.js';

/** Opens the databases of a stack, whose server has migrated them, for statements that run for up to 15 minutes. */
export function openStackStores({ env }: Stack): Stores {
  const open = <Schema>(name: 'CLUSTERS' | 'COMMUNICATION' | 'RESOURCES') =>
    openDatabase<Schema>({
      url: env[`${name}_DATABASE_URL`] ?? '',
      applicationName: 'bench',
      statementTimeoutMs: 900_000,
    });
  const databases = {
    clusters: open<ClustersSchema>('CLUSTERS'),
    communication: open<CommunicationSchema>('COMMUNICATION'),
    resources: open<ResourcesSchema>('RESOURCES'),
  };
  const close = async () => {
    await Promise.all(Object.values(databases).map((db) => db.destroy()));
  };
  return { ...databases, close };
}
