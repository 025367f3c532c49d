import type { Context } from 'hono';
import type { Endpoint } from '../contracts/endpoint.js';
import { endpoints, type EndpointName } from '../contracts/endpoints.js';
import { requireCapability } from '../operations/requester.js';
import type { Api, ApiEnv, RequestDeps } from './deps.js';
import { Reply, type Handlers } from './handlers.js';
import type { Authenticate } from './middleware/authentication.js';
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
  api.on(endpoint.method.toUpperCase(), endpoint.path.replaceAll(/\{(\w+)\}/g, ':$1'), async (c) => {
    const principal = endpoint.roles === 'public' ? undefined : await authenticate(c);
    if (principal) authorize(principal, name, { agentId: isOwnPath ? c.req.param('id') : undefined });
    const sentBody = endpoint.body && (await readJsonBody(c.req.raw, limitsOf(endpoint, deps)));
    const request = {
      ...requestPartsOf(c, endpoint, sentBody),
      principal,
      sentBody,
      raw: c.req.raw,
      reauthenticate: async () => void (await authenticate(c)),
    };
    if (principal && endpoint.capability) requireCapability(deps, principal, endpoint.capability);
    return responseOf(endpoint, await (handler as AnyHandler)(request));
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
