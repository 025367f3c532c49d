import type { ClusterManagerClient } from '../client/index.js';
import type { ManagerConfig } from '../config/index.js';
import type { ClustersDb } from '../stores/clusters/index.js';
import type { CommunicationDb } from '../stores/communication/index.js';
import type { Logger, Metrics } from '../telemetry/index.js';

/** The dependencies of submitting, resuming, waiting for and showing operations. */
export interface OperationsDeps {
  readonly clusters: ClustersDb;
  /** Holds the messages of requests that are too large for a workflow's input. */
  readonly communication: CommunicationDb;
  readonly client: ClusterManagerClient;
  readonly config: () => ManagerConfig;
  readonly logger: Logger;
  readonly metrics: Pick<Metrics, 'formations'>;
  /** Aborted when the server begins to stop: a wait then returns the current state. */
  readonly stopping: AbortSignal;
}
