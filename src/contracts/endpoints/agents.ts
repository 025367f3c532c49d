import { z } from 'zod';
import { agentView, heartbeat, heartbeatAnswer, registerAgent, registeredAgent } from '../agents.js';
import { byIdentifier, ok, operators, page, pageQuery, readers, response, tagged } from '../endpoint.js';

const agent = agentView.meta({ id: 'Agent' });
const registered = registeredAgent.extend({ agent }).meta({ id: 'RegisteredAgent' });

export const agentEndpoints = tagged('agents', {
  registerAgent: {
    route: 'POST /v1/agents',
    summary: "Register an agent, or register it again as a new incarnation. The agent's token is shown only here",
    roles: [...operators, 'enrolment', 'agent'],
    body: registerAgent,
    responses: {
      200: response('A known agent was updated', registered),
      201: response('A new agent was registered', registered),
    },
    errors: ['not_found', 'state_conflict', 'offer_below_held'],
  },
  listAgents: {
    route: 'GET /v1/agents',
    summary: 'List agents by id',
    roles: readers,
    query: z.strictObject({
      ...pageQuery,
      capability: z.string().min(1).max(151).optional(),
      state: z.enum(['alive', 'expired', 'left']).optional(),
    }),
    responses: page('A page of agents', { agents: z.array(agent) }),
  },
  getAgent: {
    route: 'GET /v1/agents/{id}',
    summary: 'Get an agent',
    roles: [...readers, 'agent'],
    params: byIdentifier,
    responses: ok('The agent', { agent }),
  },
  removeAgent: {
    route: 'DELETE /v1/agents/{id}',
    summary: 'Remove an agent that leaves: its lease ends and its tokens are revoked. This is not counted as a failure',
    roles: ['admin', 'agent'],
    params: byIdentifier,
    responses: ok('The agent has left, now or earlier', { id: z.string(), left: z.literal(true) }),
  },
  heartbeat: {
    route: 'POST /v1/agents/{id}/heartbeat',
    summary: "Renew an agent's lease; can report readiness, usage, load and inbox depth",
    roles: ['admin', 'agent'],
    params: byIdentifier,
    body: heartbeat,
    responses: ok(
      "The new end of the lease, and the epoch of each of the agent's clusters",
      heartbeatAnswer.meta({ id: 'HeartbeatAnswer' }),
    ),
  },
  drainAgent: {
    route: 'POST /v1/agents/{id}/drain',
    summary: 'Drain an agent: it joins no more clusters and keeps its current memberships',
    roles: [...operators, 'agent'],
    params: byIdentifier,
    responses: ok('The draining agent', { agent }),
    errors: ['not_found', 'state_conflict'],
  },
});
