import type { CommunicationRequest } from './communication.js';
import type { FormationRequest } from './formation.js';
import type { OperationIds } from './ids.js';
import type { ScalingRequest } from './scaling.js';

/** Argument of `formCluster`: the request itself. Without requestId the workflow id names the operation. */
export type FormClusterInput = FormationRequest & { readonly requestId?: string };

/** Argument of `manageCommunication`: the request itself. Without requestId the workflow id names the operation. */
export type ManageCommunicationInput = CommunicationRequest;

/** Argument of `scaleCluster`: the request itself. Without requestId the workflow id names the operation. */
export type ScaleClusterInput = ScalingRequest;

export interface DissolveClusterInput extends OperationIds {
  /** How long members may still take to ack their deliveries. */
  readonly drainSeconds: number;
}

export interface FormationIntervalInput {
  /** Reports what would be done, and does nothing. */
  readonly dryRun?: boolean;
}

/** What one run of the formation interval did, or with dryRun would do. */
export interface FormationIntervalReport {
  readonly dryRun: boolean;
  readonly lines: readonly string[];
  readonly releasedReservations: number;
  readonly served: readonly string[];
  readonly repaired: readonly string[];
  readonly resumed: readonly string[];
}

export interface ScalingIntervalInput {
  /** Reports what would be done, and does nothing. */
  readonly dryRun?: boolean;
  /** A run of many pages continues as new: the last cluster assessed before, and the report so far. */
  readonly after?: string;
  readonly carried?: ScalingIntervalReport;
  readonly balances?: ScalingIntervalReport['balances'];
}

/** What one run of the scaling interval did, or with dryRun would do. */
export interface ScalingIntervalReport {
  readonly dryRun: boolean;
  /** A line for each of the first changes and moves. */
  readonly lines: string[];
  assessed: number;
  /** Clusters whose scaling was started, and agents that were moved from one cluster to another. */
  readonly started: string[];
  readonly moved: string[];
  /** Changes left to the next run, because this one started the most that it may. */
  postponed: number;
  /** How even usage is over the clusters of each page, by which a later run recognises moves without effect. */
  readonly balances: Record<string, { readonly balance: number; readonly staleRounds: number }>;
}

export const workflowTypes = {
  formCluster: 'formCluster',
  repairCluster: 'repairCluster',
  dissolveCluster: 'dissolveCluster',
  manageCommunication: 'manageCommunication',
  scaleCluster: 'scaleCluster',
  formationInterval: 'formationInterval',
  scalingInterval: 'scalingInterval',
} as const;

/** Updates of a running scaleCluster: the orchestrator's answer to a capacity request. */
export const capacityUpdates = { grant: 'grantResources', deny: 'denyResources' } as const;

/** Sent when an invited agent answered, a request was answered or agents were reserved for a queued formation. */
export const wakeSignal = 'wake';
