import { defined } from '../../contracts/defined.js';
import { ManagerError } from '../../contracts/errors.js';
import { insertToken, listTokens, newToken, revokeToken } from '../../stores/clusters/index.js';
import type { AgentDeps } from '../deps.js';
import type { Handlers } from '../handlers.js';

export const tokenHandlers = ({ clusters, principals }: AgentDeps) =>
  ({
    listTokens: async () => ({ tokens: await listTokens(clusters) }),

    createToken: async ({ body: { role, name, expiresInSeconds } }) => {
      const secret = newToken();
      const token = await insertToken(clusters, secret, { role, name, ...defined({ expiresInSeconds }) });
      return { token, secret };
    },

    revokeToken: async ({ params: { id } }) => {
      if (!(await revokeToken(clusters, id))) {
        throw new ManagerError('not_found', `Token "${id}" does not exist or was revoked already`);
      }
      principals.forget([id]);
      return undefined;
    },
  }) satisfies Partial<Handlers>;
