import type { ClusterManagerClient } from '../client/index.js';
import type { ManagerConfig } from '../config/index.js';
import type { ServerMessaging } from '../messaging/open-messaging.js';
import type { ClustersDb } from '../stores/clusters/index.js';
import type { ResourcesDb } from '../stores/resources/index.js';
import type { Logger } from '../telemetry/index.js';

/** The dependencies of a server's periodic tasks; each task takes the members that it needs. */
export interface MaintenanceDeps extends Pick<ServerMessaging, 'communication' | 'settings' | 'notify' | 'latencies'> {
  readonly clusters: ClustersDb;
  readonly resources: ResourcesDb;
  readonly client: ClusterManagerClient;
  readonly config: () => ManagerConfig;
  readonly logger: Logger;
  readonly serverId: string;
}
