import type { MiddlewareHandler } from 'hono';
import { isLoopback } from '../../config/binding.js';
import { ManagerError } from '../../contracts/errors.js';
import type { ApiEnv, RequestDeps } from '../deps.js';

/**
 * Refuses requests for a host name that is not configured, even on loopback: a web page whose name resolves to this
 * address (DNS rebinding), or a page of another origin, could otherwise send requests from a user's browser.
 */
export function requireKnownHost({ config }: RequestDeps): MiddlewareHandler<ApiEnv> {
  return async (c, next) => {
    const host = c.req.header('host') ?? '';
    if (!isKnown(host, config())) {
      throw new ManagerError(
        'host_refused',
        `The Host header is "${host.slice(0, 200)}"; add it to CLUSTER_MANAGER_ALLOWED_HOSTS if clients use this name`,
      );
    }
    const origin = c.req.header('origin');
    if (origin !== undefined && originHost(origin) !== host.toLowerCase()) {
      throw new ManagerError(
        'host_refused',
        `The Origin header is "${origin.slice(0, 200)}"; requests from other origins are refused`,
      );
    }
    await next();
  };
}

function isKnown(
  host: string,
  { host: configured, allowedHosts }: { readonly host: string; readonly allowedHosts: readonly string[] },
): boolean {
  const name = hostName(host);
  if (name === undefined) return false;
  if (isLoopback(name) || name === configured.toLowerCase()) return true;
  return allowedHosts.some((allowed) => allowed === name || allowed === host.toLowerCase());
}

function hostName(host: string): string | undefined {
  const match = /^(?:\[([0-9a-f:.]+)\]|([a-z0-9._-]+))(?::\d{1,5})?$/i.exec(host);
  return (match?.[1] ?? match?.[2])?.toLowerCase();
}

const originHost = (origin: string): string | undefined =>
  /^https?:\/\/[^/]+$/i.test(origin) ? origin.replace(/^https?:\/\//i, '').toLowerCase() : undefined;
