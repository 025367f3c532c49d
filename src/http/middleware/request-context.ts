import { randomUUID } from 'node:crypto';
import type { Context, MiddlewareHandler } from 'hono';
import { routePath } from 'hono/route';
import { isLoopback } from '../../config/binding.js';
import { ManagerError } from '../../contracts/errors.js';
import type { FailedLogins } from './authentication.js';
import type { ApiEnv, RequestDeps } from '../deps.js';
import { MethodNotAllowed } from './method-not-allowed.js';

/** What every request gets before any route: an id, its figures, the headers that all answers carry. */
export function requestContext(deps: RequestDeps): MiddlewareHandler<ApiEnv> {
  const failedLogins: FailedLogins = { byAddress: new Map() };
  return async (c, next) => {
    const startedAtMs = performance.now();
    c.set('deps', deps);
    c.set('failedLogins', failedLogins);
    c.set('requestId', `req_${randomUUID()}`);
    await next();
    const { headers } = c.res;
    headers.set('x-request-id', c.var.requestId);
    headers.set('x-content-type-options', 'nosniff');
    if (!headers.has('cache-control')) headers.set('cache-control', 'no-store');
    if (deps.config().tls) headers.set('strict-transport-security', 'max-age=31536000');
    const labels = { method: c.req.method, route: routePath(c, -1), status: String(c.res.status) };
    deps.metrics.httpRequestSeconds.observe(labels, (performance.now() - startedAtMs) / 1000);
  };
}

/**
 * Refuses requests that were sent under another name than ours, also on loopback: a web page whose name was made to
 * point here (DNS rebinding), or one of another origin.
 */
export function requireKnownHost(deps: RequestDeps): MiddlewareHandler<ApiEnv> {
  return async (c, next) => {
    const host = c.req.header('host') ?? '';
    const { host: configured, allowedHosts } = deps.config();
    const name = hostName(host);
    const allowed =
      name !== undefined &&
      (isLoopback(name) ||
        name === configured.toLowerCase() ||
        allowedHosts.some((each) => each === name || each === host.toLowerCase()));
    if (!allowed) {
      throw new ManagerError(
        'host_refused',
        `The Host header is "${host.slice(0, 200)}"; add it to CLUSTER_MANAGER_ALLOWED_HOSTS if clients use this name`,
      );
    }
    const origin = c.req.header('origin');
    if (origin !== undefined && originHost(origin) !== host.toLowerCase()) {
      throw new ManagerError(
        'host_refused',
        `The Origin header is "${origin.slice(0, 200)}"; requests of other origins are refused`,
      );
    }
    await next();
  };
}

function hostName(host: string): string | undefined {
  const match = /^(?:\[([0-9a-f:.]+)\]|([a-z0-9._-]+))(?::\d{1,5})?$/i.exec(host);
  return (match?.[1] ?? match?.[2])?.toLowerCase();
}

const originHost = (origin: string): string | undefined =>
  /^https?:\/\/[^/]+$/i.test(origin) ? origin.replace(/^https?:\/\//i, '').toLowerCase() : undefined;

/** For a path that no route took: 405 with what the path does allow, else 404. */
export function pathNotFound(
  routes: readonly { readonly method: string; readonly path: string }[],
): (c: Context<ApiEnv>) => never {
  const known = routes.map(({ method, path }) => ({
    method: method.toUpperCase(),
    pattern: new RegExp(`^${path.replaceAll(/[.]/g, '\\.').replaceAll(/:[^/]+/g, '[^/]+')}$`),
  }));
  return (c) => {
    const methods = [...new Set(known.filter(({ pattern }) => pattern.test(c.req.path)).map(({ method }) => method))];
    if (methods.length > 0) throw new MethodNotAllowed(c.req.method, methods);
    throw new ManagerError('not_found', 'There is no such path; /openapi.json lists all of them');
  };
}
