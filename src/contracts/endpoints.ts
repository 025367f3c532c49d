import { agentEndpoints } from './endpoints/agents.js';
import { budgetEndpoints } from './endpoints/budgets.js';
import { capacityRequestEndpoints } from './endpoints/capacity-requests.js';
import { clusterEndpoints } from './endpoints/clusters.js';
import { inboxEndpoints } from './endpoints/inbox.js';
import { managerEndpoints } from './endpoints/manager.js';
import { messageEndpoints } from './endpoints/messages.js';
import { operationEndpoints } from './endpoints/operations.js';
import { resourceEndpoints } from './endpoints/resources.js';
import { topicEndpoints } from './endpoints/topics.js';

/**
 * The HTTP API. The server's routes, access control, openapi.json, the HTTP client and the agent library's calls all
 * derive from this table.
 */
export const endpoints = {
  ...agentEndpoints,
  ...inboxEndpoints,
  ...messageEndpoints,
  ...topicEndpoints,
  ...operationEndpoints,
  ...clusterEndpoints,
  ...capacityRequestEndpoints,
  ...resourceEndpoints,
  ...budgetEndpoints,
  ...managerEndpoints,
};

export type Endpoints = typeof endpoints;
export type EndpointName = keyof Endpoints;
