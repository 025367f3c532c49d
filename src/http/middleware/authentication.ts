import type { Context } from 'hono';
import { getConnInfo } from '@hono/node-server/conninfo';
import { ManagerError } from '../../contracts/errors.js';
import type { Principal } from '../../stores/clusters/index.js';
import type { ApiEnv } from '../deps.js';
import { RetryLater } from './problem-details.js';

const failuresAllowed = 20;
/** Beyond this an unknown token is refused without a look at the database; a known one still passes. */
const lookUpsAllowed = 200;
const windowMs = 60_000;

/** How often each address failed in its present minute. One broken agent must not shut out its neighbours on the same address. */
export interface FailedLogins {
  readonly byAddress: Map<string, { count: number; endsAtMs: number }>;
}

/**
 * Who asks, from the bearer token.
 * @throws ManagerError `unauthenticated`, or `too_many_requests` after 20 failures of an address in a minute.
 */
export async function authenticate(c: Context<ApiEnv>): Promise<Principal> {
  const { principals, config } = c.var.deps;
  const failed = c.var.failedLogins;
  const address = addressOf(c, config().behindProxy);
  const failures = recentFailures(failed, address);
  const token = /^Bearer ([\x21-\x7e]{1,512})$/i.exec(c.req.header('authorization') ?? '')?.[1];
  if (token !== undefined && (failures < lookUpsAllowed || principals.has(token))) {
    const principal = await principals.find(token);
    if (principal) return principal;
  }
  const entry = failed.byAddress.get(address) ?? { count: 0, endsAtMs: Date.now() + windowMs };
  entry.count += 1;
  failed.byAddress.set(address, entry);
  if (failures >= failuresAllowed) {
    throw new RetryLater(
      'too_many_requests',
      `More than ${failuresAllowed} requests of this address had no valid token within a minute; correct the token`,
      Math.max(1, Math.ceil((entry.endsAtMs - Date.now()) / 1000)),
    );
  }
  throw new ManagerError(
    'unauthenticated',
    token === undefined
      ? 'There is no bearer token; send "Authorization: Bearer <token>"'
      : 'The token is unknown, expired or revoked; register again or ask an admin for a new one',
  );
}

function recentFailures({ byAddress }: FailedLogins, address: string): number {
  const entry = byAddress.get(address);
  if (entry && entry.endsAtMs > Date.now()) return entry.count;
  byAddress.delete(address);
  if (byAddress.size > 10_000) byAddress.clear();
  return 0;
}

/** Behind a proxy the last entry of X-Forwarded-For is the proxy's own; earlier ones anybody can write. */
function addressOf(c: Context<ApiEnv>, behindProxy: boolean): string {
  const forwarded = behindProxy ? c.req.header('x-forwarded-for')?.split(',').at(-1)?.trim() : undefined;
  if (forwarded) return forwarded;
  try {
    return getConnInfo(c).remote.address ?? 'unknown';
  } catch {
    return 'unknown';
  }
}
