import type { Context } from 'hono';
import type { Endpoint } from '../contracts/endpoint.js';
import { endpoints, type EndpointName } from '../contracts/endpoints.js';
import { requireCapability } from '../operations/requester.js';
import type { Principal } from '../stores/clusters/index.js';
import type { Api, ApiEnv, RequestDeps } from './deps.js';
import { Reply, type Handlers } from './handlers.js';
import type { Authenticate } from './middleware/authentication.js';
import { addressOf } from './middleware/client-address.js';
import { authorize } from './middleware/authorization.js';
import { readJsonBody } from './middleware/json-body.js';
import { validate } from './middleware/validation.js';

type AnyHandler = (request: unknown) => unknown;

/**
 * Registers the route of an endpoint. Each request is authenticated and authorized before anything but its headers is
 * read; then its body is read and each part of it is validated, once.
 */
export function mountEndpoint(
  api: Api,
  deps: RequestDeps,
  authenticate: Authenticate,
  name: EndpointName,
  handler: Handlers[EndpointName],
): void {
  const endpoint: Endpoint = endpoints[name];
  const isOwnPath = endpoint.path.startsWith('/v1/agents/{id}');
  const answer = async (c: Context<ApiEnv>, principal: Principal | undefined): Promise<Response> => {
    const takeBytes = (bytes: number) => principal && deps.limits.take(principal, 'bytesPerSecond', bytes);
    const sentBody = endpoint.body && (await readJsonBody(c.req.raw, { ...limitsOf(endpoint, deps), takeBytes }));
    const parts = requestPartsOf(c, endpoint, sentBody);
    if (principal) {
      if (endpoint.capability) requireCapability(deps, principal, endpoint.capability);
      await deps.limits.take(principal, 'itemsPerSecond', endpoint.itemsOf?.(parts.body as never) ?? 0);
    }
    const reauthenticate = async () => void (await authenticate(c));
    const request = { ...parts, principal, sentBody, raw: c.req.raw, reauthenticate };
    return responseOf(endpoint, await (handler as AnyHandler)(request));
  };
  api.on(endpoint.method.toUpperCase(), endpoint.path.replaceAll(/\{(\w+)\}/g, ':$1'), async (c) => {
    const principal = endpoint.roles === 'public' ? undefined : await authenticate(c);
    if (!principal) {
      await deps.limits.takePublic(addressOf(c, deps.config().behindProxy));
      return answer(c, undefined);
    }
    await deps.limits.take(principal, 'requestsPerSecond', 1);
    const leave = deps.limits.enter(principal);
    try {
      authorize(principal, name, { agentId: isOwnPath ? c.req.param('id') : undefined });
      return await answer(c, principal);
    } finally {
      leave();
    }
  });
}

const limitsOf = ({ bodyIsOptional, bodyLimitBytes, bodyLimitOf }: Endpoint, { config }: RequestDeps) => ({
  isOptional: bodyIsOptional === true,
  maxBytes: bodyLimitBytes ?? config().bodyLimitBytes,
  maxBytesOf: bodyLimitOf,
});

function requestPartsOf(c: Context<ApiEnv>, { query, params, headers, body }: Endpoint, sentBody: unknown) {
  return {
    query: query && validate(query, queryOf(c), 'query'),
    params: params && validate(params, c.req.param(), 'path'),
    headers: headers && validate(headers, c.req.header(), 'header'),
    body: body && validate(body, sentBody, 'body'),
  };
}

/** A parameter that is given more than once is a list. */
const queryOf = (c: Context<ApiEnv>): Record<string, unknown> =>
  Object.fromEntries(
    Object.entries(c.req.queries()).map(([name, values]) => [name, values.length === 1 ? values[0] : values]),
  );

function responseOf({ responses }: Endpoint, result: unknown): Response {
  if (result instanceof Response) return result;
  const reply = result instanceof Reply ? (result as Reply<number, unknown>) : undefined;
  const status = reply?.status ?? Number(Object.keys(responses)[0]);
  const body = reply ? reply.body : result;
  if (body === undefined) return new Response(null, { status, headers: reply?.headers ?? {} });
  const headers = { 'content-type': 'application/json', ...reply?.headers };
  const isJson = responses[status]?.contentType === undefined;
  return new Response(isJson ? JSON.stringify(body) : String(body), { status, headers });
}
