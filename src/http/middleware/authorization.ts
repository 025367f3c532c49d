import { ManagerError } from '../../contracts/errors.js';
import type { Party } from '../../contracts/endpoint.js';
import { endpoints, type EndpointName } from '../../contracts/endpoints.js';
import { partyOf } from '../../operations/requester.js';
import type { Principal } from '../../stores/clusters/index.js';

/**
 * Checks that a principal may call an endpoint: the only place that decides.
 * @param target.agentId the agent in the path. An agent that asks about another agent gets 404, so that it cannot probe ids.
 * @throws ManagerError `forbidden` or `not_found`.
 */
export function authorize(
  principal: Principal,
  name: EndpointName,
  target: { readonly agentId?: string | undefined } = {},
): void {
  const party = partyOf(principal);
  if (party === 'agent' && target.agentId !== undefined && target.agentId !== principal.agentId) {
    throw new ManagerError('not_found', `Agent "${target.agentId}" does not exist`);
  }
  const roles: readonly Party[] | 'public' = endpoints[name].roles;
  if (roles === 'public' || roles.includes(party)) return;
  throw new ManagerError(
    'forbidden',
    `${name} is for ${roles.join(', ')}; this token's role is ${party}. Use a token of one of these roles`,
  );
}
