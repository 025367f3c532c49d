import type { Kysely, Migration } from 'kysely';
import type { DatabaseUrls } from '../../config/index.js';
import { clustersMigrations, type ClustersSchema } from '../../stores/clusters/index.js';
import { communicationMigrations, type CommunicationSchema } from '../../stores/communication/index.js';
import { migrate, openDatabase } from '../../stores/database.js';
import { resourcesMigrations, type ResourcesSchema } from '../../stores/resources/index.js';

export interface Stores {
  readonly clusters: Kysely<ClustersSchema>;
  readonly communication: Kysely<CommunicationSchema>;
  readonly resources: Kysely<ResourcesSchema>;
  close(): Promise<void>;
}

/**
 * Opens the three databases and brings their schemas up to date.
 * @throws ManagerError `service_unavailable`, `incompatible_service`; nothing stays open then.
 */
export async function openStores(urls: DatabaseUrls, applicationName: string): Promise<Stores> {
  const open = <Schema>(url: string): Kysely<Schema> => openDatabase<Schema>({ url, applicationName });
  const clusters = open<ClustersSchema>(urls.clusters);
  const communication = open<CommunicationSchema>(urls.communication);
  const resources = open<ResourcesSchema>(urls.resources);
  const close = async (): Promise<void> => {
    await Promise.all([clusters.destroy(), communication.destroy(), resources.destroy()]);
  };
  const bring = <Schema>(db: Kysely<Schema>, name: string, to: Readonly<Record<string, Migration>>) =>
    migrate(db, name, to);
  try {
    await bring(clusters, 'clusters_db', clustersMigrations);
    await bring(communication, 'communication_db', communicationMigrations);
    await bring(resources, 'resources_db', resourcesMigrations);
    return { clusters, communication, resources, close };
  } catch (error) {
    await close();
    throw error;
  }
}
