import type { ManagerConfig } from '../config/index.js';
import type { MessagingDeps } from '../messaging/deps.js';
import type { ClustersDb, FleetStock } from '../stores/clusters/index.js';
import type { CommunicationDb } from '../stores/communication/index.js';
import type { ResourcesDb } from '../stores/resources/index.js';

/** The settings that activities read. */
export type ActivitySettings = Pick<
  ManagerConfig,
  | 'id'
  | 'capabilities'
  | 'clusterSize'
  | 'leaseSeconds'
  | 'invitationTimeoutSeconds'
  | 'invitationTries'
  | 'communication'
  | 'scaling'
  | 'communicationLatencyMs'
  | 'resourceUsageRatio'
  | 'stabilityScore'
>;

/** The dependencies of form_cluster and its interval. */
export interface FormationDeps {
  readonly clusters: ClustersDb;
  readonly communication: CommunicationDb;
  readonly resources: ResourcesDb;
  readonly messaging: MessagingDeps;
  readonly settings: ActivitySettings;
}

/** The dependencies of manage_communication. */
export type CommunicationDeps = Pick<FormationDeps, 'clusters' | 'communication' | 'messaging' | 'settings'>;

/** The dependencies of scale_cluster and its interval. */
export interface ScalingDeps extends FormationDeps {
  /** The fleet's stock by what it was read for. */
  readonly fleetStockCache: Map<string, { readonly atMs: number; readonly stock: Promise<FleetStock> }>;
}

export interface OperationDeps extends Pick<FormationDeps, 'clusters'> {
  /** Starts the workflows of abandoned operations again. @returns the ids of the operations that were started. */
  readonly resumeAbandonedOperations: () => Promise<readonly string[]>;
}
