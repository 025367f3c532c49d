import type { FormationDeps } from '../deps.js';
import { closeConnections, releaseAgents, retireCluster, withdrawCluster } from './compensate.js';
import { defineCluster } from './define-cluster.js';
import { beginDissolution, countOpenDeliveries } from './dissolve.js';
import { establishConnections } from './establish-connections.js';
import { resumeAbandonedOperations, runFormationInterval } from './formation-interval.js';
import { planFormationInterval } from './plan-formation-interval.js';
import { identifyAgents } from './identify-agents.js';
import { initializeCluster } from './initialize-cluster.js';

/** The activities of form_cluster: its four steps, their compensation, dissolution and the formation interval. */
export const createFormationActivities = (deps: FormationDeps) => ({
  identifyAgents: identifyAgents(deps),
  defineCluster: defineCluster(deps),
  establishConnections: establishConnections(deps),
  initializeCluster: initializeCluster(deps),
  retireCluster: retireCluster(deps),
  closeConnections: closeConnections(deps),
  withdrawCluster: withdrawCluster(deps),
  releaseAgents: releaseAgents(deps),
  beginDissolution: beginDissolution(deps),
  countOpenDeliveries: countOpenDeliveries(deps),
  planFormationInterval: planFormationInterval(deps),
  runFormationInterval: runFormationInterval(deps),
  resumeAbandonedOperations: resumeAbandonedOperations(deps),
});
