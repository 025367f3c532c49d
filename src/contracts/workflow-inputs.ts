import type { z } from 'zod';
import type { CommunicationRequest } from './communication.js';
import type { DeepReadonly } from './endpoint.js';
import type { formationReport, scalingReport } from './endpoints/manager.js';
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

export type FormationIntervalReport = DeepReadonly<z.output<typeof formationReport>>;

export interface ScalingIntervalInput extends FormationIntervalInput {
  /** A run of many pages continues as new: the last cluster assessed before, and the report so far. */
  readonly after?: string;
  readonly carried?: ScalingIntervalReport;
  readonly balances?: ScalingIntervalReport['balances'];
}

export interface ScalingIntervalReport extends z.output<typeof scalingReport> {
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
