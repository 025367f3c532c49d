import { createRoute, type RouteConfig } from '@hono/zod-openapi';
import type { MiddlewareHandler } from 'hono';
import { z } from 'zod';
import { problem } from '../contracts/problem.js';
import { endpoints, type EndpointName } from '../contracts/endpoints.js';
import { authorize } from './middleware/authorization.js';
import { authenticate } from './middleware/authentication.js';
import type { ApiEnv } from './deps.js';
import { jsonBody, type BodyLimit } from './middleware/json-body.js';

type OperationConfig = Omit<RouteConfig, 'middleware' | 'security' | 'operationId'> & {
  readonly operationId: EndpointName;
  /** Bytes; without it the configured limit of bodies. */
  readonly bodyLimitBytes?: number;
  /** A smaller one for some bodies. */
  readonly bodyLimitOf?: BodyLimit;
};

const refusal = {
  description: 'Refused: problem details (RFC 9457)',
  content: { 'application/problem+json': { schema: problem.meta({ id: 'Problem' }) } },
};

/** Before anything of a request but its headers is read: who asks, and whether they may. */
const guard =
  (operation: EndpointName, path: string): MiddlewareHandler<ApiEnv> =>
  async (c, next) => {
    const principal = await authenticate(c);
    authorize(principal, operation, { agentId: path.startsWith('/v1/agents/{id}') ? c.req.param('id') : undefined });
    c.set('principal', principal);
    await next();
  };

/**
 * A route with what all have: the guard of its row in the access table, the border of its body, the refusals in the
 * OpenAPI document. A route cannot be made without a row in the table.
 */
export function operationRoute<const Config extends OperationConfig>({
  bodyLimitBytes,
  bodyLimitOf,
  ...config
}: Config) {
  const isPublic = endpoints[config.operationId].roles === 'public';
  const body = config.request?.body;
  const middleware: MiddlewareHandler<ApiEnv>[] = [];
  if (!isPublic) middleware.push(guard(config.operationId, config.path));
  if (body) {
    const limit = (c: { readonly var: ApiEnv['Variables'] }) => bodyLimitBytes ?? c.var.deps.config().bodyLimitBytes;
    const content = body.content['application/json'];
    const schema = content && 'schema' in content ? content.schema : undefined;
    middleware.push(async (c, next) => {
      c.set('bodySchema', schema instanceof z.ZodType ? schema : undefined);
      await next();
    });
    middleware.push(jsonBody(limit, { required: body.required === true, limitOf: bodyLimitOf }));
  }
  const route = createRoute({
    ...(config as OperationConfig),
    ...(isPublic ? {} : { security: [{ bearer: [] }] }),
    responses: { ...config.responses, default: refusal },
    middleware,
  });
  // The refusals are thrown, not returned: handlers are typed by the answers they give.
  return route as unknown as Config & { getRoutingPath(): string };
}

/** A JSON answer in the route's table of responses. */
export const json = <Schema>(schema: Schema, description: string) => ({
  description,
  content: { 'application/json': { schema } },
});

export const jsonRequest = <Schema>(schema: Schema) => ({
  required: true as const,
  content: { 'application/json': { schema } },
});
