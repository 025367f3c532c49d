import type { ActivityDeps } from '../deps.js';
import { defineCluster } from './define-cluster.js';
import { beginDissolution, countOpenDeliveries } from './dissolve.js';
import { establishConnections } from './establish-connections.js';
import { describeFormationInterval, runFormationInterval } from './formation-interval.js';
import { identifyAgents } from './identify-agents.js';
import { initializeCluster } from './initialize-cluster.js';
import { settleOperation } from '../shared/settle-operation.js';
import { closeConnections, releaseAgents, retireCluster, withdrawCluster } from './compensate.js';

/** The activities of form_cluster: its four steps, their undoing, dissolution and the formation interval. */
export const createFormationActivities = (deps: ActivityDeps) => ({
  identifyAgents: identifyAgents(deps),
  defineCluster: defineCluster(deps),
  establishConnections: establishConnections(deps),
  initializeCluster: initializeCluster(deps),
  retireCluster: retireCluster(deps),
  closeConnections: closeConnections(deps),
  withdrawCluster: withdrawCluster(deps),
  releaseAgents: releaseAgents(deps),
  settleOperation: settleOperation(deps),
  beginDissolution: beginDissolution(deps),
  countOpenDeliveries: countOpenDeliveries(deps),
  describeFormationInterval: describeFormationInterval(deps),
  runFormationInterval: runFormationInterval(deps),
});

export type FormationActivities = ReturnType<typeof createFormationActivities>;
