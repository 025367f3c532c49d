import type { Context } from 'hono';
import { getConnInfo } from '@hono/node-server/conninfo';
import { ManagerError } from '../../contracts/errors.js';
import type { Principal } from '../../stores/clusters/index.js';
import { retryLater } from './problem-details.js';
import type { PrincipalCache } from './principal-cache.js';

const maxFailures = 20;
/** Above this many failures an unknown token is refused without a database query; a cached token still passes. */
const maxLookups = 200;
const windowMs = 60_000;

interface AuthenticationDeps {
  readonly principals: PrincipalCache;
  readonly config: () => { readonly behindProxy: boolean };
}

/**
 * Finds the principal of a request's bearer token.
 * @throws ManagerError `unauthenticated`, or `too_many_requests` after 20 failures of an address in a minute.
 */
export type Authenticate = (c: Context) => Promise<Principal>;

export function createAuthentication({ principals, config }: AuthenticationDeps): Authenticate {
  const failed = new FailedAttempts();
  return async (c) => {
    const address = addressOf(c, config().behindProxy);
    const failures = failed.countOf(address);
    const token = /^Bearer ([\x21-\x7e]{1,512})$/i.exec(c.req.header('authorization') ?? '')?.[1];
    if (token !== undefined && (failures < maxLookups || principals.has(token))) {
      const principal = await principals.find(token);
      if (principal) return principal;
    }
    const endsAtMs = failed.add(address);
    if (failures >= maxFailures) {
      throw retryLater(
        'too_many_requests',
        `More than ${maxFailures} requests from this address had no valid token within a minute; correct the token`,
        Math.max(1, Math.ceil((endsAtMs - Date.now()) / 1000)),
      );
    }
    throw new ManagerError(
      'unauthenticated',
      token === undefined
        ? 'The request has no bearer token; send "Authorization: Bearer <token>"'
        : 'The token is unknown, expired or revoked; register again or ask an admin for a new one',
    );
  };
}

/**
 * Counts the failures of each address per minute. Requests with a valid token are never refused for them: one
 * misconfigured agent must not lock out others on the same address.
 */
class FailedAttempts {
  readonly #byAddress = new Map<string, { count: number; readonly endsAtMs: number }>();

  countOf(address: string): number {
    const entry = this.#byAddress.get(address);
    if (entry && entry.endsAtMs > Date.now()) return entry.count;
    this.#byAddress.delete(address);
    if (this.#byAddress.size > 10_000) this.#byAddress.clear();
    return 0;
  }

  /** @returns the end of the address's minute, ms since 1970. */
  add(address: string): number {
    const entry = this.#byAddress.get(address) ?? { count: 0, endsAtMs: Date.now() + windowMs };
    entry.count += 1;
    this.#byAddress.set(address, entry);
    return entry.endsAtMs;
  }
}

/** Behind a proxy the last entry of X-Forwarded-For is the proxy's; a client can write any earlier one. */
function addressOf(c: Context, behindProxy: boolean): string {
  const forwarded = behindProxy ? c.req.header('x-forwarded-for')?.split(',').at(-1)?.trim() : undefined;
  if (forwarded) return forwarded;
  try {
    return getConnInfo(c).remote.address ?? 'unknown';
  } catch {
    return 'unknown';
  }
}
