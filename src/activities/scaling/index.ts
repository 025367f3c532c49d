import type { ScalingDeps } from '../deps.js';
import { adjustCluster } from './adjust-cluster.js';
import { allocateResources } from './allocate-resources.js';
import { answerCapacityRequest, readCapacityRequest } from './answer-capacity-request.js';
import { assessNeeds } from './assess-needs.js';
import { assessPage } from './scaling-interval.js';
import { compensateScaling } from './compensate-scaling.js';
import { settleScaling } from './settle-scaling.js';
import { verifyStability } from './verify-stability.js';

/** The activities of scale_cluster: its four steps, capacity requests, settlement, compensation and the interval. */
export const createScalingActivities = (deps: ScalingDeps) => ({
  assessNeeds: assessNeeds(deps),
  allocateResources: allocateResources(deps),
  adjustCluster: adjustCluster(deps),
  verifyStability: verifyStability(deps),
  answerCapacityRequest: answerCapacityRequest(deps),
  readCapacityRequest: readCapacityRequest(deps),
  settleScaling: settleScaling(deps),
  compensateScaling: compensateScaling(deps),
  assessPage: assessPage(deps),
});
