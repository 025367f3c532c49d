import { heartbeat, registerAgent as registerBody, type RegisterAgent } from '../../contracts/agents.js';
import { ManagerError } from '../../contracts/errors.js';
import {
  appendEvent,
  enrolmentOf,
  findAgent,
  inTransaction,
  markAgentLeft,
  listAgents,
  capabilityTokens,
  registerAgent,
  replaceAgentToken,
  revokeAgentTokens,
  setReadiness,
  type Principal,
} from '../../stores/clusters/index.js';
import { openInbox } from '../../stores/communication/index.js';
import { partyOf } from '../../operations/requester.js';
import { nextCursor, positionOf } from '../cursor.js';
import type { Api, AgentDeps } from '../deps.js';
import { json, jsonRequest, operationRoute } from '../operation-route.js';
import { retireInbox } from '../../messaging/retire-inbox.js';
import * as shapes from '../shapes.js';

const register = operationRoute({
  operationId: 'registerAgent',
  method: 'post',
  path: '/v1/agents',
  summary: 'Register an agent, or update it as a new incarnation. Its token is in the answer, this once',
  tags: ['agents'],
  request: { body: jsonRequest(registerBody) },
  responses: {
    200: json(shapes.registeredAnswer, 'A known agent, updated'),
    201: json(shapes.registeredAnswer, 'A new agent'),
  },
});

const list = operationRoute({
  operationId: 'listAgents',
  method: 'get',
  path: '/v1/agents',
  summary: 'List agents by id',
  tags: ['agents'],
  request: { query: shapes.agentsQuery },
  responses: { 200: json(shapes.agentsPage, 'A page of agents') },
});

const get = operationRoute({
  operationId: 'getAgent',
  method: 'get',
  path: '/v1/agents/{id}',
  summary: 'Show an agent',
  tags: ['agents'],
  request: { params: shapes.byAgent },
  responses: { 200: json(shapes.agentAnswer, 'The agent') },
});

const remove = operationRoute({
  operationId: 'removeAgent',
  method: 'delete',
  path: '/v1/agents/{id}',
  summary: 'Leave: the lease ends and the token dies. Not a failure',
  tags: ['agents'],
  request: { params: shapes.byAgent },
  responses: { 200: json(shapes.leftAnswer, 'The agent has left, now or before') },
});

const beat = operationRoute({
  operationId: 'heartbeat',
  method: 'post',
  path: '/v1/agents/{id}/heartbeat',
  summary: 'Renew the lease; may say readiness, usage, load and inbox depth',
  tags: ['agents'],
  request: { params: shapes.byAgent, body: jsonRequest(heartbeat) },
  responses: { 200: json(shapes.heartbeatDone, 'The new lease, and the epoch of each cluster of the agent') },
});

const drain = operationRoute({
  operationId: 'drainAgent',
  method: 'post',
  path: '/v1/agents/{id}/drain',
  summary: 'Take no new memberships, keep the present ones',
  tags: ['agents'],
  request: { params: shapes.byAgent },
  responses: { 200: json(shapes.agentAnswer, 'The agent, draining') },
});

export const agentNotFound = (id: string): ManagerError => new ManagerError('not_found', `There is no agent "${id}"`);

export function agentRoutes(api: Api, deps: AgentDeps): void {
  api.openapi(register, async (c) => {
    const agent = c.req.valid('json');
    const { created, ...registered } = await enrol(deps, c.var.principal, agent);
    return c.json(registered, created ? 201 : 200);
  });

  api.openapi(list, async (c) => {
    const { cursor, limit, capability, state } = c.req.valid('query');
    const after = positionOf(cursor, 1)?.[0];
    const rows = await listAgents(deps.clusters, {
      limit: limit + 1,
      ...(after === undefined ? {} : { after }),
      ...(capability === undefined ? {} : { capability }),
      ...(state === undefined ? {} : { state }),
    });
    const { page, nextCursor: next } = nextCursor(rows, limit, ({ id }) => [id]);
    return c.json({ agents: [...page], nextCursor: next }, 200);
  });

  api.openapi(get, async (c) => {
    const { id } = c.req.valid('param');
    const agent = await findAgent(deps.clusters, id);
    if (!agent) throw agentNotFound(id);
    return c.json({ agent }, 200);
  });

  api.openapi(remove, async (c) => {
    const { id } = c.req.valid('param');
    await left(deps, id);
    return c.json({ id, left: true as const }, 200);
  });

  api.openapi(beat, async (c) => {
    const { id } = c.req.valid('param');
    const answer = await deps.heartbeats.beat(id, c.req.valid('json'));
    deps.metrics.heartbeats.inc({ outcome: answer ? 'accepted' : 'not_found' });
    if (!answer) throw new ManagerError('not_found', `There is no agent "${id}", or it has left; register again`);
    return c.json({ leaseExpiresAt: answer.leaseExpiresAt.toISOString(), epoch: { ...answer.epoch } }, 200);
  });

  api.openapi(drain, async (c) => {
    const { id } = c.req.valid('param');
    const agent = await setReadiness(deps.clusters, id, 'draining');
    if (agent.liveness.state === 'left') throw new ManagerError('state_conflict', `Agent "${id}" has left already`);
    return c.json({ agent }, 200);
  });
}

/** The inbox first, the agent last: an agent that can be seen can be written to. */
async function enrol(deps: AgentDeps, principal: Principal, agent: RegisterAgent) {
  const party = partyOf(principal);
  if (party === 'agent' && agent.id !== principal.agentId) throw agentNotFound(agent.id);
  const { leaseSeconds, heartbeatSeconds } = deps.config();
  if (agent.id === deps.config().id) {
    throw new ManagerError(
      'state_conflict',
      `"${agent.id}" is the manager's own id, by which agents know its mail; choose another`,
    );
  }
  const registered = await inTransaction(deps.clusters, async (tx) => {
    const written = await registerAgent(tx, agent, { leaseSeconds, enrolledBy: principal.tokenId });
    // Asked after the write, whose row lock holds off whoever else enrols this id at the same moment.
    const enrolment = await enrolmentOf(tx, agent.id);
    if (party === 'enrolment' && enrolment?.enrolledBy !== principal.tokenId) {
      throw new ManagerError(
        'state_conflict',
        `Agent "${agent.id}" was registered with another token; register with its own token, or choose another id`,
      );
    }
    // Not before it is known that this caller may: an inbox says what mail its agent can be chosen for.
    await openInbox(deps.communication, agent.id, capabilityTokens(agent.capabilities));
    const token = await replaceAgentToken(tx, agent.id);
    if (written.created) {
      await appendEvent(tx, {
        id: `agent.registered:${agent.id}`,
        type: 'agent.registered',
        subject: agent.id,
        data: { agentId: agent.id, capabilities: written.agent.capabilities },
      });
    }
    return { ...written, token };
  });
  deps.principals.flush();
  return { ...registered, leaseSeconds, heartbeatSeconds };
}

async function left(deps: AgentDeps, id: string): Promise<void> {
  await inTransaction(deps.clusters, async (tx) => {
    const agent = await findAgent(tx, id);
    if (!agent) throw agentNotFound(id);
    const isFirst = await markAgentLeft(tx, id);
    await revokeAgentTokens(tx, id);
    if (!isFirst) return;
    await appendEvent(tx, {
      id: `agent.left:${id}:${agent.incarnation}`,
      type: 'agent.left',
      subject: id,
      data: { agentId: id, clusters: agent.clusters },
    });
  });
  deps.principals.flush();
  // Should this server end here, the look at all standings comes to it.
  await retireInbox(deps, id);
}
