import type { ServerMessaging } from '../messaging/open-messaging.js';
import type { OperationsDeps } from '../operations/deps.js';
import type { ResourcesDb } from '../stores/resources/index.js';

/** The dependencies of a server's periodic tasks; each task takes the members that it needs. */
export interface MaintenanceDeps
  extends
    Pick<OperationsDeps, 'clusters' | 'client' | 'config' | 'logger'>,
    Pick<ServerMessaging, 'communication' | 'settings' | 'notify' | 'warn' | 'latencies'> {
  readonly resources: ResourcesDb;
  readonly serverId: string;
}
