import type { RegisterAgent } from '../../contracts/agents.js';
import { ManagerError } from '../../contracts/errors.js';
import { openAgentInbox, retireInbox } from '../../messaging/agent-inbox.js';
import { partyOf } from '../../operations/requester.js';
import {
  appendEvent,
  enrolmentOf,
  findAgent,
  inTransaction,
  listAgents,
  markAgentLeft,
  registerAgent,
  replaceAgentToken,
  revokeAgentTokens,
  setReadiness,
  type Principal,
} from '../../stores/clusters/index.js';
import { createInbox } from '../../stores/communication/index.js';
import { pageByText } from '../cursor.js';
import type { AgentDeps } from '../deps.js';
import { Reply, type Handlers } from '../handlers.js';
import { agentNotFound } from '../visibility.js';

export const agentHandlers = (deps: AgentDeps) =>
  ({
    registerAgent: async ({ body, principal }) => {
      const { created, ...registered } = await register(deps, principal, body);
      return new Reply(created ? 201 : 200, registered);
    },

    listAgents: async ({ query }) => {
      const { rows, nextCursor } = await pageByText(query, 'id', (page) => listAgents(deps.clusters, page));
      return { agents: rows, nextCursor };
    },

    getAgent: async ({ params: { id } }) => {
      const agent = await findAgent(deps.clusters, id);
      if (!agent) throw agentNotFound(id);
      return { agent };
    },

    removeAgent: async ({ params: { id } }) => {
      await remove(deps, id);
      return { id, left: true };
    },

    heartbeat: async ({ params: { id }, body }) => {
      const answer = await deps.heartbeats.beat(id, body);
      deps.metrics.heartbeats.inc({ outcome: answer ? 'accepted' : 'not_found' });
      if (!answer) throw new ManagerError('not_found', `Agent "${id}" does not exist or has left; register again`);
      return { leaseExpiresAt: answer.leaseExpiresAt.toISOString(), epoch: answer.epoch };
    },

    drainAgent: async ({ params: { id } }) => {
      const agent = await setReadiness(deps.clusters, id, 'draining');
      if (agent.liveness.state === 'left') throw new ManagerError('state_conflict', `Agent "${id}" has left already`);
      return { agent };
    },
  }) satisfies Partial<Handlers>;

/**
 * Creates the inbox before the agent becomes visible, so that a visible agent has one, and lists its capabilities after the
 * registration is committed: they decide which messages the agent can be chosen for.
 */
async function register(deps: AgentDeps, principal: Principal, agent: RegisterAgent) {
  const party = partyOf(principal);
  if (party === 'agent' && agent.id !== principal.agentId) throw agentNotFound(agent.id);
  const { id: managerId, leaseSeconds, heartbeatSeconds } = deps.config();
  if (agent.id === managerId) {
    throw new ManagerError(
      'state_conflict',
      `"${agent.id}" is the manager's own id, the source of its messages to agents; choose another`,
    );
  }
  await createInbox(deps.communication, agent.id);
  const { revoked, answer } = await inTransaction(deps.clusters, async (tx) => {
    const written = await registerAgent(tx, agent, { leaseSeconds, enrolledBy: principal.tokenId });
    // Read after the write, whose row lock excludes another registration of this id at the same moment.
    const enrolment = await enrolmentOf(tx, agent.id);
    if (party === 'enrolment' && enrolment?.enrolledBy !== principal.tokenId) {
      throw new ManagerError(
        'state_conflict',
        `Agent "${agent.id}" was registered with another token; register with its own token, or choose another id`,
      );
    }
    const { token, revoked } = await replaceAgentToken(tx, agent.id);
    if (written.created) {
      await appendEvent(tx, {
        id: `agent.registered:${agent.id}`,
        type: 'agent.registered',
        subject: agent.id,
        data: { agentId: agent.id, capabilities: written.agent.capabilities },
      });
    }
    return { revoked, answer: { ...written, token } };
  });
  deps.principals.forget(revoked);
  await openAgentInbox(deps, agent.id);
  return { ...answer, leaseSeconds, heartbeatSeconds };
}

async function remove(deps: AgentDeps, id: string): Promise<void> {
  const revoked = await inTransaction(deps.clusters, async (tx) => {
    const agent = await findAgent(tx, id);
    if (!agent) throw agentNotFound(id);
    const isFirst = await markAgentLeft(tx, id);
    const tokens = await revokeAgentTokens(tx, id);
    if (!isFirst) return tokens;
    await appendEvent(tx, {
      id: `agent.left:${id}:${agent.incarnation}`,
      type: 'agent.left',
      subject: id,
      data: { agentId: id, clusters: agent.clusters },
    });
    return tokens;
  });
  deps.principals.forget(revoked);
  // If the server stops here, the periodic sync of agent statuses retires the inbox.
  await retireInbox(deps, id);
}
