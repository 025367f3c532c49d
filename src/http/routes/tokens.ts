import { ManagerError } from '../../contracts/errors.js';
import { createToken } from '../../contracts/tokens.js';
import { insertToken, listTokens, newToken, revokeToken } from '../../stores/clusters/index.js';
import type { Api, AgentDeps } from '../deps.js';
import { json, jsonRequest, operationRoute } from '../operation-route.js';
import * as shapes from '../shapes.js';

const list = operationRoute({
  operationId: 'listTokens',
  method: 'get',
  path: '/v1/tokens',
  summary: "List tokens without their secrets; agents' own tokens are not listed",
  tags: ['tokens'],
  responses: { 200: json(shapes.tokensAnswer, 'The tokens, oldest first') },
});

const create = operationRoute({
  operationId: 'createToken',
  method: 'post',
  path: '/v1/tokens',
  summary: 'Make a token. Its secret is in the answer, this once. Role agent makes an enrolment token',
  tags: ['tokens'],
  request: { body: jsonRequest(createToken) },
  responses: { 201: json(shapes.tokenCreated, 'The token and its secret') },
});

const revoke = operationRoute({
  operationId: 'revokeToken',
  method: 'delete',
  path: '/v1/tokens/{id}',
  summary: 'Revoke a token: it is dead within a second on every server',
  tags: ['tokens'],
  request: { params: shapes.byTokenId },
  responses: { 204: { description: 'Revoked' } },
});

export function tokenRoutes(api: Api, deps: AgentDeps): void {
  api.openapi(list, async (c) => c.json({ tokens: await listTokens(deps.clusters) }, 200));

  api.openapi(create, async (c) => {
    const { expiresInSeconds, ...about } = c.req.valid('json');
    const secret = newToken();
    const token = await insertToken(deps.clusters, secret, {
      ...about,
      ...(expiresInSeconds === undefined ? {} : { expiresInSeconds }),
    });
    return c.json({ token, secret }, 201);
  });

  api.openapi(revoke, async (c) => {
    const { id } = c.req.valid('param');
    if (!(await revokeToken(deps.clusters, id))) {
      throw new ManagerError('not_found', `There is no token "${id}", or it was revoked before`);
    }
    deps.principals.flush();
    return c.body(null, 204);
  });
}
