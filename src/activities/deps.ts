import type { CommunicationSettings, ScalingSettings } from '../config/index.js';
import type { SizeBounds } from '../contracts/formation.js';
import type { MessagingDeps } from '../messaging/deps.js';
import type { ClustersDb } from '../stores/clusters/index.js';
import type { CommunicationDb } from '../stores/communication/index.js';
import type { ResourcesDb } from '../stores/resources/index.js';

/** What every activity is made with, once per worker. */
export interface ActivityDeps {
  readonly clusters: ClustersDb;
  readonly communication: CommunicationDb;
  readonly resources: ResourcesDb;
  readonly messaging: MessagingDeps;
  readonly settings: {
    readonly id: string;
    /** The functions this manager offers: the seed's `capabilities`. */
    readonly capabilities: readonly string[];
    readonly clusterSize: SizeBounds;
    readonly leaseSeconds: number;
    readonly invitationTimeoutSeconds: number;
    readonly invitationTries: number;
    readonly communication: CommunicationSettings;
    readonly scaling: ScalingSettings;
    readonly communicationLatencyMs: number;
    /** Used over capacity, 0 to 1, above which a cluster grows. */
    readonly resourceUsageRatio: number;
    /** The score, 0 to 1, that a soak passes at. */
    readonly stabilityScore: number;
  };
}
