import type { Context } from 'hono';
import { ManagerError } from '../../contracts/errors.js';
import type { Principal } from '../../stores/clusters/index.js';
import type { RequestDeps } from '../deps.js';

/**
 * Finds the principal of a request's bearer token. A wrong token is always refused as such, however many come from its
 * address: an agent whose token has ended must learn it, and a valid token is not refused for the failures of others.
 * @throws ManagerError `unauthenticated`.
 */
export type Authenticate = (c: Context) => Promise<Principal>;

export function createAuthentication({
  principals,
  metrics,
}: Pick<RequestDeps, 'principals' | 'metrics'>): Authenticate {
  return async (c) => {
    const token = /^Bearer ([\x21-\x7e]{1,512})$/i.exec(c.req.header('authorization') ?? '')?.[1];
    const principal = token === undefined ? undefined : await principals.find(token);
    if (principal) return principal;
    metrics.failedAuthentications.inc();
    throw new ManagerError(
      'unauthenticated',
      token === undefined
        ? 'The request has no bearer token; send "Authorization: Bearer <token>"'
        : 'The token is unknown, expired or revoked; register again or ask an admin for a new one',
    );
  };
}
