import { heartbeat, type Heartbeat, type Readiness } from '../contracts/agents.js';
import { ManagerError } from '../contracts/errors.js';
import { parseInput } from '../contracts/formation.js';
import { keepRegistered } from './connection/registration.js';
import { createContext } from './context.js';
import type { AgentEvents, AgentStatus, KnownCluster } from './events.js';
import type { InvitationHandler, MessageHandler } from './handlers.js';
import { createDispatcher } from './inbox/dispatch.js';
import { consumeInbox } from './inbox/inbox-consumer.js';
import { createMembershipSync } from './messaging/memberships.js';
import { createMessaging, type Messaging } from './messaging/messaging.js';
import { createSubscriptions } from './messaging/subscriptions.js';
import type { AgentOptions } from './options.js';
import { createRunner } from './runner.js';

const leaveTimeoutMs = 10_000;

export interface Agent extends Messaging {
  readonly id: string;
  /**
   * Registers, then sends heartbeats and receives messages. Waits for a manager that does not answer yet.
   * @throws ManagerError the manager's refusal: `unauthenticated`, `forbidden`, `invalid_request`, `state_conflict` when
   * another enrolment token owns this id.
   */
  start(): Promise<void>;
  /** Sets the handler of messages, which replies with the value it returns; replaces an earlier one. Set it before `start()`. */
  onMessage(handler: MessageHandler): void;
  /** Sets the handler of invitations, which agents with `acceptance: 'ask'` receive. Without one they decline. */
  onInvitation(handler: InvitationHandler): void;
  /** @returns a function that removes the listener. */
  on<Name extends keyof AgentEvents>(name: Name, listener: (event: AgentEvents[Name]) => void): () => void;
  /** Reported at once, before the next heartbeat is due. */
  setReadiness(readiness: Readiness): void;
  /**
   * Sets figures that heartbeats report: `usage` by resource, `load` 0 to 1, `inboxDepth` in messages.
   * @throws ManagerError `invalid_request`; the manager would refuse heartbeats with a wrong figure, and the lease would expire.
   */
  report(figures: Omit<Heartbeat, 'readiness'>): void;
  /** The clusters that this agent knows it is a member of. */
  clusters(): readonly KnownCluster[];
  status(): AgentStatus;
  /** Accepts no new clusters from now on, and goes on serving the present ones. */
  drain(): Promise<void>;
  /** Leaves for good, which does not count as a failure, and stops. @throws ManagerError when the manager did not confirm; the agent has stopped all the same. */
  leave(): Promise<void>;
  /** Stops; the lease expires by itself. Waits for running handlers and for the acks of the messages they handled. Never throws. */
  stop(): Promise<void>;
}

/**
 * An agent of the cluster manager: it registers, renews its lease, handles its messages in order, and fences itself when
 * its lease has expired.
 * @throws ManagerError `invalid_request` that lists every problem of the options.
 * @example
 * const agent = createAgent({ url: 'http://127.0.0.1:8420', token: enrolmentToken, id: 'translator-1', capabilities: ['translate'] });
 * agent.onMessage(async (message) => console.log(message.type, message.data));
 * agent.on('joined', ({ cluster }) => console.log(cluster.members));
 * await agent.start();
 */
export function createAgent(options: AgentOptions): Agent {
  const context = createContext(options);
  const { agentId: id, api, lease, lifecycle, events, handlers, reported } = context;
  const membershipSync = createMembershipSync(context);
  const subscriptions = createSubscriptions(context);
  const dispatcher = createDispatcher(context, membershipSync);
  const runner = createRunner(context, (onFirstRegistration) => [
    keepRegistered(context, membershipSync, onFirstRegistration),
    consumeInbox(context, dispatcher),
  ]);
  let incarnation = 0;
  events.on('registered', (event) => {
    incarnation = event.incarnation;
    if (event.again) void subscriptions.renewAll();
  });

  return {
    id,
    ...createMessaging(context, subscriptions),
    start: runner.start,
    stop: runner.stop,
    onMessage: (handler) => void (handlers.message = handler),
    onInvitation: (handler) => void (handlers.invitation = handler),
    on: events.on,
    setReadiness: (readiness) => {
      reported.readiness = readiness;
      reported.isReadinessPending = true;
      context.heartbeatWake.wake();
    },
    report: (figures) => {
      const parsed = parseInput(heartbeat.omit({ readiness: true }), 'The report', figures);
      reported.figures = { ...reported.figures, ...parsed };
    },
    clusters: membershipSync.clusters,
    status: () => ({
      id,
      state: stateOf(lifecycle.stopSignal.aborted, incarnation, lease.token()),
      readiness: reported.readiness,
      incarnation,
      clusters: membershipSync.clusters().map((cluster) => cluster.id),
    }),
    drain: async () => {
      const token = lease.token();
      if (token === undefined || lifecycle.stopSignal.aborted) {
        const text = `Agent "${id}" is not registered at the moment, so it cannot drain`;
        throw new ManagerError('state_conflict', text);
      }
      await api.command('drainAgent', { params: { id } }, { token, signal: lifecycle.stopSignal });
      reported.readiness = 'draining';
    },
    leave: async () => {
      const token = lease.lastToken();
      await runner.stop();
      if (token === undefined) return;
      await api.command('removeAgent', { params: { id } }, { token, signal: AbortSignal.timeout(leaveTimeoutMs) });
    },
  };
}

function stateOf(isStopped: boolean, incarnation: number, token: string | undefined): AgentStatus['state'] {
  if (isStopped) return 'stopped';
  if (token !== undefined) return 'registered';
  return incarnation === 0 ? 'new' : 'unavailable';
}
