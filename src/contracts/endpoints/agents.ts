import { z } from 'zod';
import { agentView, heartbeat, heartbeatAnswer, registerAgent, registeredAgent } from '../agents.js';
import { byIdentifier, nextCursor, operators, pageQuery, readers, response, type Endpoint } from '../endpoint.js';

const agent = agentView.meta({ id: 'Agent' });
const registered = registeredAgent.extend({ agent }).meta({ id: 'RegisteredAgent' });

export const agentEndpoints = {
  registerAgent: {
    method: 'post',
    path: '/v1/agents',
    summary: "Register an agent, or register it again as a new incarnation. The agent's token is shown only here",
    tag: 'agents',
    roles: [...operators, 'enrolment', 'agent'],
    body: registerAgent,
    responses: {
      200: response('A known agent was updated', registered),
      201: response('A new agent was registered', registered),
    },
    errors: ['not_found', 'state_conflict', 'offer_below_held'],
  },
  listAgents: {
    method: 'get',
    path: '/v1/agents',
    summary: 'List agents by id',
    tag: 'agents',
    roles: readers,
    query: z.strictObject({
      ...pageQuery,
      capability: z.string().min(1).max(151).optional(),
      state: z.enum(['alive', 'expired', 'left']).optional(),
    }),
    responses: { 200: response('A page of agents', z.object({ agents: z.array(agent), nextCursor })) },
    errors: [],
  },
  getAgent: {
    method: 'get',
    path: '/v1/agents/{id}',
    summary: 'Get an agent',
    tag: 'agents',
    roles: [...readers, 'agent'],
    params: byIdentifier,
    responses: { 200: response('The agent', z.object({ agent })) },
    errors: ['not_found'],
  },
  removeAgent: {
    method: 'delete',
    path: '/v1/agents/{id}',
    summary: 'Remove an agent that leaves: its lease ends and its tokens are revoked. This is not counted as a failure',
    tag: 'agents',
    roles: ['admin', 'agent'],
    params: byIdentifier,
    responses: {
      200: response('The agent has left, now or earlier', z.object({ id: z.string(), left: z.literal(true) })),
    },
    errors: ['not_found'],
  },
  heartbeat: {
    method: 'post',
    path: '/v1/agents/{id}/heartbeat',
    summary: "Renew an agent's lease; can report readiness, usage, load and inbox depth",
    tag: 'agents',
    roles: ['admin', 'agent'],
    params: byIdentifier,
    body: heartbeat,
    responses: {
      200: response(
        "The new end of the lease, and the epoch of each of the agent's clusters",
        heartbeatAnswer.meta({ id: 'HeartbeatAnswer' }),
      ),
    },
    errors: ['not_found'],
  },
  drainAgent: {
    method: 'post',
    path: '/v1/agents/{id}/drain',
    summary: 'Drain an agent: it joins no more clusters and keeps its current memberships',
    tag: 'agents',
    roles: [...operators, 'agent'],
    params: byIdentifier,
    responses: { 200: response('The draining agent', z.object({ agent })) },
    errors: ['not_found', 'state_conflict'],
  },
} as const satisfies Record<string, Endpoint>;
