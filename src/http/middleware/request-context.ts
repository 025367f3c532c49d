import { randomUUID } from 'node:crypto';
import type { MiddlewareHandler } from 'hono';
import { routePath } from 'hono/route';
import type { ApiEnv, RequestDeps } from '../deps.js';

/** Gives each request an id, measures it, and sets the headers that all responses have. */
export function requestContext({ config, metrics }: RequestDeps): MiddlewareHandler<ApiEnv> {
  return async (c, next) => {
    const startedAtMs = performance.now();
    c.set('requestId', `req_${randomUUID()}`);
    await next();
    const { headers } = c.res;
    headers.set('x-request-id', c.var.requestId);
    headers.set('x-content-type-options', 'nosniff');
    if (!headers.has('cache-control')) headers.set('cache-control', 'no-store');
    if (config().tls) headers.set('strict-transport-security', 'max-age=31536000');
    const labels = { method: c.req.method, route: routePath(c, -1), status: String(c.res.status) };
    metrics.httpRequestSeconds.observe(labels, (performance.now() - startedAtMs) / 1000);
  };
}
