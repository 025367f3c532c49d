import { z } from 'zod';
import { operationRoute } from '../operation-route.js';
import type { Api } from '../deps.js';
import { productVersion } from '../version.js';

const document = operationRoute({
  operationId: 'getOpenApi',
  method: 'get',
  path: '/openapi.json',
  summary: 'This document',
  tags: ['health'],
  responses: {
    200: { description: 'OpenAPI 3.1', content: { 'application/json': { schema: z.record(z.string(), z.unknown()) } } },
  },
});

export function openApiRoute(api: Api): void {
  let made: ReturnType<typeof openApiDocument> | undefined;
  api.openapi(document, (c) => {
    made ??= openApiDocument(api);
    return c.json(made as never, 200, { 'cache-control': 'max-age=300' });
  });
}

/** The API's description, made from the routes themselves. */
export function openApiDocument(api: Api) {
  const described = api.getOpenAPI31Document({
    openapi: '3.1.0',
    info: {
      title: 'Cluster manager',
      version: productVersion,
      description: 'Agents register, are formed into clusters, and are watched. Errors are problem details (RFC 9457).',
    },
  });
  return {
    ...described,
    components: {
      ...described.components,
      securitySchemes: { bearer: { type: 'http' as const, scheme: 'bearer' } },
    },
  };
}
