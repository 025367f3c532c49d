import type { Context } from 'hono';
import type { Endpoint } from '../../contracts/endpoint.js';
import { ManagerError } from '../../contracts/errors.js';
import { ErrorWithHeaders } from '../error-with-headers.js';

/** Answers a request that no route matches: 405 with the methods that its path allows, else 404. */
export function pathNotFound(endpoints: readonly Pick<Endpoint, 'method' | 'path'>[]): (c: Context) => never {
  const known = endpoints.map(({ method, path }) => ({
    method: method.toUpperCase(),
    pattern: new RegExp(`^${path.replaceAll('.', '\\.').replaceAll(/\{\w+\}/g, '[^/]+')}$`),
  }));
  return (c) => {
    const allowed = [...new Set(known.filter(({ pattern }) => pattern.test(c.req.path)).map(({ method }) => method))];
    if (allowed.length === 0) {
      throw new ManagerError('not_found', 'This path does not exist; /openapi.json lists all paths');
    }
    const allow = allowed.join(', ');
    throw new ErrorWithHeaders('method_not_allowed', `${c.req.method} is not allowed on this path; allowed: ${allow}`, {
      allow,
    });
  };
}
