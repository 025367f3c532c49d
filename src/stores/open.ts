import { clustersDatabase, type ClustersDb, type ClustersSchema } from './clusters/index.js';
import { communicationDatabase, type CommunicationDb, type CommunicationSchema } from './communication/index.js';
import { openDatabase } from './database.js';
import { migrate } from './migrate.js';
import { resourcesDatabase, type ResourcesDb, type ResourcesSchema } from './resources/index.js';
import { waitForService, type Waiting } from './wait-for-service.js';

export interface Stores {
  readonly clusters: ClustersDb;
  readonly communication: CommunicationDb;
  readonly resources: ResourcesDb;
  close(): Promise<void>;
}

type Urls = Readonly<Record<'clusters' | 'communication' | 'resources', string>>;

/**
 * Opens the three databases and brings their schemas up to date, waiting for servers that do not answer yet.
 * @throws ManagerError `service_unavailable`, `incompatible_service`; nothing stays open then.
 */
export const openStores = (urls: Urls, applicationName: string, waiting: Waiting): Promise<Stores> =>
  waitForService('PostgreSQL', () => tryToOpenStores(urls, applicationName), waiting);

async function tryToOpenStores(urls: Urls, applicationName: string): Promise<Stores> {
  await migrate({ url: urls.clusters, applicationName }, clustersDatabase);
  await migrate({ url: urls.communication, applicationName }, communicationDatabase);
  await migrate({ url: urls.resources, applicationName }, resourcesDatabase);
  const open = <Schema>(url: string) => openDatabase<Schema>({ url, applicationName });
  const databases = {
    clusters: open<ClustersSchema>(urls.clusters),
    communication: open<CommunicationSchema>(urls.communication),
    resources: open<ResourcesSchema>(urls.resources),
  };
  const close = async () => {
    await Promise.all(Object.values(databases).map((db) => db.destroy()));
  };
  return { ...databases, close };
}
