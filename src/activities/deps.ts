import type { CommunicationSettings, ScalingSettings } from '../config/index.js';
import type { SizeBounds } from '../contracts/formation.js';
import type { MessagingDeps } from '../messaging/deps.js';
import type { ClustersDb } from '../stores/clusters/index.js';
import type { CommunicationDb } from '../stores/communication/index.js';
import type { ResourcesDb } from '../stores/resources/index.js';

/** The settings that activities read. */
export interface ActivitySettings {
  /** The manager's id: the source of its messages. */
  readonly id: string;
  /** The functions that this manager offers. */
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
}

/** The dependencies of one function's activities: its databases, messaging, and the settings named by `Keys`. */
interface FunctionDeps<Keys extends keyof ActivitySettings> {
  readonly clusters: ClustersDb;
  readonly communication: CommunicationDb;
  readonly messaging: MessagingDeps;
  readonly settings: Pick<ActivitySettings, Keys>;
}

/** Announcements of memberships. */
export type AnnouncementDeps = FunctionDeps<'id'>;

export type CommunicationDeps = FunctionDeps<'capabilities' | 'communication'>;

/** Invitations are sent and evaluated in the same way for a formation and for a cluster that grows. */
export type InvitationDeps = FunctionDeps<'id' | 'invitationTimeoutSeconds' | 'invitationTries'>;

export interface FormationDeps extends FunctionDeps<
  'id' | 'capabilities' | 'clusterSize' | 'leaseSeconds' | 'invitationTimeoutSeconds' | 'invitationTries'
> {
  readonly resources: ResourcesDb;
  /** Starts the workflows of abandoned operations again. @returns the ids of the operations that were started. */
  readonly resumeAbandonedOperations: () => Promise<readonly string[]>;
}

export interface ScalingDeps extends FunctionDeps<
  | 'id'
  | 'capabilities'
  | 'invitationTimeoutSeconds'
  | 'invitationTries'
  | 'scaling'
  | 'communicationLatencyMs'
  | 'resourceUsageRatio'
  | 'stabilityScore'
> {
  readonly resources: ResourcesDb;
}
