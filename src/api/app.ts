import { OpenAPIHono } from '@hono/zod-openapi';
import { agentRoutes } from './agents.js';
import { entry, nothingThere, ownNameOnly } from './borders.js';
import { clusterRoutes } from './clusters.js';
import type { Api, ApiDeps, ApiEnv } from './deps.js';
import { deadLetterRoutes } from './dead-letters.js';
import { healthRoutes } from './health.js';
import { inboxRoutes } from './inbox.js';
import { configRoutes } from './config.js';
import { intervalRoutes } from './intervals.js';
import { messageRoutes } from './messages.js';
import { openApiRoute } from './openapi.js';
import { operationRoutes } from './operations.js';
import { problemResponse } from './problems.js';
import { requestRoutes } from './requests.js';
import { resourceRequestRoutes } from './resource-requests.js';
import { scalingRoutes } from './scaling.js';
import { statusRoutes } from './status.js';
import { tokenRoutes } from './tokens.js';
import { topicRoutes } from './topics.js';
import { refuseInvalid } from './validation.js';

/** The whole HTTP API over its parts. It listens nowhere: a server, or a test, calls its `fetch`. */
export function createApi(deps: ApiDeps): Api {
  const api: Api = new OpenAPIHono<ApiEnv>({ defaultHook: refuseInvalid });
  api.use(entry(deps));
  api.use(ownNameOnly(deps));
  agentRoutes(api, deps);
  inboxRoutes(api, deps);
  messageRoutes(api, deps);
  topicRoutes(api, deps);
  deadLetterRoutes(api, deps);
  requestRoutes(api, deps);
  operationRoutes(api, deps);
  clusterRoutes(api, deps);
  scalingRoutes(api, deps);
  resourceRequestRoutes(api, deps);
  intervalRoutes(api, deps);
  configRoutes(api, deps);
  statusRoutes(api, deps);
  tokenRoutes(api, deps);
  healthRoutes(api, deps);
  openApiRoute(api);
  api.notFound(nothingThere(api.routes.filter(({ method }) => method !== 'ALL')));
  api.onError(problemResponse);
  return api;
}
