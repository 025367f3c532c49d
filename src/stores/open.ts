import type { DatabaseUrls } from '../config/index.js';
import { clustersDatabase, type ClustersDb, type ClustersSchema } from './clusters/index.js';
import { communicationDatabase, type CommunicationDb, type CommunicationSchema } from './communication/index.js';
import { openDatabase } from './database.js';
import { migrate } from './migrate.js';
import { resourcesDatabase, type ResourcesDb, type ResourcesSchema } from './resources/index.js';

export interface Stores {
  readonly clusters: ClustersDb;
  readonly communication: CommunicationDb;
  readonly resources: ResourcesDb;
  close(): Promise<void>;
}

/**
 * Opens the three databases and brings their schemas up to date.
 * @throws ManagerError `service_unavailable`, `incompatible_service`; nothing stays open then.
 */
export async function openStores(urls: DatabaseUrls, applicationName: string): Promise<Stores> {
  const clusters = openDatabase<ClustersSchema>({ url: urls.clusters, applicationName });
  const communication = openDatabase<CommunicationSchema>({ url: urls.communication, applicationName });
  const resources = openDatabase<ResourcesSchema>({ url: urls.resources, applicationName });
  const close = async (): Promise<void> => {
    await Promise.all([clusters.destroy(), communication.destroy(), resources.destroy()]);
  };
  try {
    await migrate({ url: urls.clusters, applicationName }, clustersDatabase);
    await migrate({ url: urls.communication, applicationName }, communicationDatabase);
    await migrate({ url: urls.resources, applicationName }, resourcesDatabase);
    return { clusters, communication, resources, close };
  } catch (error) {
    await close();
    throw error;
  }
}
