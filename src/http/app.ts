import { Hono } from 'hono';
import { endpoints, type EndpointName } from '../contracts/endpoints.js';
import type { Api, ApiDeps, ApiEnv } from './deps.js';
import type { Handlers } from './handlers.js';
import { createAuthentication } from './middleware/authentication.js';
import { requireKnownHost } from './middleware/known-host.js';
import { pathNotFound } from './middleware/path-not-found.js';
import { problemResponse } from './middleware/problem-details.js';
import { requestContext } from './middleware/request-context.js';
import { mountEndpoint } from './mount-endpoint.js';
import { agentHandlers } from './routes/agents.js';
import { allocationHandlers } from './routes/allocations.js';
import { budgetHandlers } from './routes/budgets.js';
import { capacityRequestHandlers } from './routes/capacity-requests.js';
import { clusterHandlers } from './routes/clusters.js';
import { healthHandlers } from './routes/health.js';
import { inboxHandlers } from './routes/inbox.js';
import { managerHandlers } from './routes/manager.js';
import { messageHandlers } from './routes/messages.js';
import { operationHandlers } from './routes/operations.js';
import { resourceHandlers } from './routes/resources.js';
import { tokenHandlers } from './routes/tokens.js';
import { topicHandlers } from './routes/topics.js';
import { usageHandlers } from './routes/usage.js';

/** The HTTP API, without a listener: a server, or a test, calls its `fetch`. */
export function createApi(deps: ApiDeps): Api {
  const api: Api = new Hono<ApiEnv>();
  api.use(requestContext(deps));
  api.use(requireKnownHost(deps));
  const handlers = handlersOf(deps);
  const authenticate = createAuthentication(deps);
  for (const name of Object.keys(endpoints) as EndpointName[]) {
    mountEndpoint(api, deps, authenticate, name, handlers[name]);
  }
  api.notFound(pathNotFound(Object.values(endpoints)));
  api.onError(problemResponse(deps));
  return api;
}

const handlersOf = (deps: ApiDeps): Handlers => ({
  ...agentHandlers(deps),
  ...tokenHandlers(deps),
  ...inboxHandlers(deps),
  ...messageHandlers(deps),
  ...topicHandlers(deps),
  ...operationHandlers(deps),
  ...clusterHandlers(deps),
  ...capacityRequestHandlers(deps),
  ...resourceHandlers(deps),
  ...allocationHandlers(deps),
  ...budgetHandlers(deps),
  ...usageHandlers(deps),
  ...managerHandlers(deps),
  ...healthHandlers(deps),
});
