import { log } from '@temporalio/activity';
import type { MessagingDeps } from '../messaging/deps.js';
import { handleBroadcasts } from './communication/handle-broadcasts.js';
import { manageTopics } from './communication/manage-topics.js';
import { routeMessages } from './communication/route-messages.js';
import { updateRouting } from './communication/update-routing.js';
import type { OperationDeps, ScalingDeps } from './deps.js';
import { closeConnections, releaseAgents, retireCluster, withdrawCluster } from './formation/compensate.js';
import { defineCluster } from './formation/define-cluster.js';
import { beginDissolution, countOpenDeliveries } from './formation/dissolve.js';
import { establishConnections } from './formation/establish-connections.js';
import { planFormationInterval, runFormationInterval } from './formation/formation-interval.js';
import { identifyAgents } from './formation/identify-agents.js';
import { initializeCluster } from './formation/initialize-cluster.js';
import { adjustCluster } from './scaling/adjust-cluster.js';
import { allocateResources } from './scaling/allocate-resources.js';
import { answerCapacityRequest, readCapacityRequest } from './scaling/answer-capacity-request.js';
import { assessNeeds } from './scaling/assess-needs.js';
import { compensateScaling } from './scaling/compensate-scaling.js';
import { assessPage } from './scaling/scaling-interval.js';
import { settleScaling } from './scaling/settle-scaling.js';
import { verifyStability } from './scaling/verify-stability.js';
import { asActivity } from './shared/as-activity.js';
import { settleOperation } from './shared/settle-operation.js';

const activities = {
  settleOperation,
  // form_cluster: its four steps, their compensation, dissolution and the formation interval.
  identifyAgents,
  defineCluster,
  establishConnections,
  initializeCluster,
  retireCluster,
  closeConnections,
  withdrawCluster,
  releaseAgents,
  beginDissolution,
  countOpenDeliveries,
  planFormationInterval,
  runFormationInterval,
  resumeAbandonedOperations: ({ resumeAbandonedOperations }: OperationDeps, _input: object) =>
    resumeAbandonedOperations(),
  // manage_communication: its four steps.
  routeMessages,
  handleBroadcasts,
  manageTopics,
  updateRouting,
  // scale_cluster: its four steps, capacity requests, settlement, compensation and the scaling interval.
  assessNeeds,
  allocateResources,
  adjustCluster,
  verifyStability,
  answerCapacityRequest,
  readCapacityRequest,
  settleScaling,
  compensateScaling,
  assessPage,
};

/** What a worker gives to its activities; each function group takes its part of it. */
type AllDeps = ScalingDeps & OperationDeps;

type WithDeps<Activity> = Activity extends (deps: AllDeps, input: infer Input) => infer Output
  ? (input: Input) => Output
  : never;

export type Activities = { readonly [Name in keyof typeof activities]: WithDeps<(typeof activities)[Name]> };

/** What a worker provides. The two functions are optional where nothing is notified and nothing is resumed. */
export interface WorkerParts
  extends
    Pick<AllDeps, 'clusters' | 'communication' | 'resources' | 'settings'>,
    Partial<Pick<AllDeps, 'resumeAbandonedOperations'> & Pick<MessagingDeps, 'notify'>> {}

/** Every activity that a worker serves. */
export function createActivities({
  notify = () => undefined,
  resumeAbandonedOperations = () => Promise.resolve([]),
  ...parts
}: WorkerParts): Activities {
  const warn = (message: string, error: unknown): void => log.warn(message, { error });
  const messaging = { communication: parts.communication, settings: () => parts.settings.communication, notify, warn };
  const deps: AllDeps = { ...parts, messaging, resumeAbandonedOperations, fleetStockCache: new Map() };
  return Object.fromEntries(
    Object.entries(activities).map(([name, activity]) => [
      name,
      asActivity((input: never) => (activity as (deps: AllDeps, input: never) => Promise<unknown>)(deps, input)),
    ]),
  ) as Activities;
}

export type { ActivitySettings } from './deps.js';
