import type { Context } from 'hono';
import { getConnInfo } from '@hono/node-server/conninfo';

/** The address that a request came from. Behind a proxy the last entry of X-Forwarded-For is the proxy's; a client can write any earlier one. */
export function addressOf(c: Context, behindProxy: boolean): string {
  const forwarded = behindProxy ? c.req.header('x-forwarded-for')?.split(',').at(-1)?.trim() : undefined;
  if (forwarded) return forwarded;
  try {
    return getConnInfo(c).remote.address ?? 'unknown';
  } catch {
    return 'unknown';
  }
}
