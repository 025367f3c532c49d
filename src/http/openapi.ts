import { OpenApiGeneratorV31, OpenAPIRegistry } from '@asteasolutions/zod-to-openapi';
import type { RouteConfig } from '@asteasolutions/zod-to-openapi';
import { errorsOf, type Endpoint } from '../contracts/endpoint.js';
import { endpoints } from '../contracts/endpoints.js';
import { errorTable } from '../contracts/errors.js';
import { problem } from '../contracts/problem.js';
import { productVersion } from './version.js';

const problemSchema = problem.meta({ id: 'Problem' });

/** The OpenAPI document of the endpoint table. */
export function openApiDocument() {
  const registry = new OpenAPIRegistry();
  registry.registerComponent('securitySchemes', 'bearer', { type: 'http', scheme: 'bearer' });
  for (const [name, endpoint] of Object.entries(endpoints)) registry.registerPath(routeConfigOf(name, endpoint));
  return new OpenApiGeneratorV31(registry.definitions).generateDocument({
    openapi: '3.1.0',
    info: {
      title: 'Cluster manager',
      version: productVersion,
      description:
        'Registers agents, forms them into clusters, carries their messages, and scales and monitors the clusters. ' +
        'Errors are problem details (RFC 9457).',
    },
  });
}

function routeConfigOf(name: string, endpoint: Endpoint): RouteConfig {
  const { method, path, summary, tag, roles, params, query, headers, body, bodyIsOptional } = endpoint;
  return {
    operationId: name,
    method,
    path,
    summary,
    tags: [tag],
    ...(roles === 'public' ? {} : { security: [{ bearer: [] }] }),
    request: {
      ...(params ? { params } : {}),
      ...(query ? { query } : {}),
      ...(headers ? { headers } : {}),
      ...(body ? { body: { required: !bodyIsOptional, content: { 'application/json': { schema: body } } } } : {}),
    },
    responses: responsesOf(endpoint),
  };
}

function responsesOf(endpoint: Endpoint): RouteConfig['responses'] {
  const successes = Object.entries(endpoint.responses).map(([status, { description, body, contentType }]) => [
    status,
    { description, ...(body ? { content: { [contentType ?? 'application/json']: { schema: body } } } : {}) },
  ]);
  const codesByStatus = new Map<number, string[]>();
  for (const code of errorsOf(endpoint)) {
    const { status } = errorTable[code];
    codesByStatus.set(status, [...(codesByStatus.get(status) ?? []), `\`${code}\``]);
  }
  const failures = [...codesByStatus]
    .filter(([status]) => !(status in endpoint.responses))
    .map(([status, codes]) => [String(status), failure(codes.join(', '))]);
  return { ...Object.fromEntries([...successes, ...failures]), default: failure('Any other error') };
}

const failure = (description: string) => ({
  description: `${description} (problem details, RFC 9457)`,
  content: { 'application/problem+json': { schema: problemSchema } },
});
