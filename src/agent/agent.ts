import { heartbeat, type Heartbeat, type Readiness } from '../contracts/agents.js';
import { invalidRequest, ManagerError } from '../contracts/errors.js';
import { problemsOf } from '../contracts/formation.js';
import { createWakeSignal } from './connection/backoff.js';
import { createConnection, type Connection } from './connection/connection.js';
import type { HeartbeatContent } from './connection/heartbeats.js';
import { keepRegistered } from './connection/registration.js';
import { createReporter, type AgentEvents, type AgentStatus } from './events.js';
import type { Handlers, InvitationHandler, MessageHandler } from './handlers.js';
import { createDispatcher } from './inbox/dispatch.js';
import { consumeInbox } from './inbox/inbox-consumer.js';
import { createLifecycle } from './lifecycle.js';
import { createMembershipSync } from './messaging/membership-sync.js';
import { createMemberships, type KnownCluster } from './messaging/memberships.js';
import { createMessaging, type Messaging } from './messaging/messaging.js';
import { createPendingRequests } from './messaging/pending-requests.js';
import { settingsOf, type AgentOptions } from './options.js';
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
  const settings = settingsOf(options);
  const { id, concurrency, acceptance } = settings.registration;
  const reporter = createReporter(id, options.logger);
  const lifecycle = createLifecycle(id);
  const connection = createConnection(settings.url, id, lifecycle);
  const { api, lease } = connection;
  const memberships = createMemberships(id, connection.nowMs);
  const membershipSync = createMembershipSync(api, memberships, reporter);
  const pollWake = createWakeSignal();
  const requests = createPendingRequests(id, pollWake.wake);
  const { messaging, renewSubscriptions } = createMessaging(connection, requests, reporter);
  const handlers: Handlers = {};
  const dispatcher = createDispatcher({ connection, requests, membershipSync, handlers, acceptance, reporter });
  const content: HeartbeatContent = { readiness: 'ready', isReadinessPending: false, figures: {} };
  const runner = createRunner(lifecycle, connection, reporter, (onFirstRegistration) => [
    keepRegistered({ connection, settings, content, onEpochs: membershipSync.onEpochs, reporter }, onFirstRegistration),
    consumeInbox({ connection, dispatcher, requests, settings, concurrency, pollWake, reporter }),
  ]);
  let incarnation = 0;
  reporter.events.on('registered', (event) => {
    incarnation = event.incarnation;
    if (event.again) void renewSubscriptions();
  });

  return {
    id,
    ...messaging,
    start: runner.start,
    stop: runner.stop,
    onMessage: (handler) => void (handlers.message = handler),
    onInvitation: (handler) => void (handlers.invitation = handler),
    on: reporter.events.on,
    setReadiness: (readiness) => {
      content.readiness = readiness;
      content.isReadinessPending = true;
      connection.heartbeatWake.wake();
    },
    report: (figures) => void (content.figures = { ...content.figures, ...parseFigures(figures) }),
    clusters: memberships.all,
    status: () => ({
      id,
      state: stateOf(lifecycle.stopSignal.aborted, incarnation, lease.token()),
      readiness: content.readiness,
      incarnation,
      clusters: memberships.all().map((cluster) => cluster.id),
    }),
    drain: async () => {
      await drain(connection);
      content.readiness = 'draining';
    },
    leave: async () => {
      const token = lease.lastToken();
      await runner.stop();
      if (token !== undefined) await api.leave({ token, signal: AbortSignal.timeout(leaveTimeoutMs) });
    },
  };
}

async function drain({ agentId, api, lease, lifecycle }: Connection): Promise<void> {
  const token = lease.token();
  if (token === undefined || lifecycle.stopSignal.aborted) {
    throw new ManagerError('state_conflict', `Agent "${agentId}" is not registered at the moment, so it cannot drain`);
  }
  await api.drain({ token, signal: lifecycle.stopSignal });
}

function parseFigures(figures: Omit<Heartbeat, 'readiness'>): Omit<Heartbeat, 'readiness'> {
  const parsed = heartbeat.omit({ readiness: true }).safeParse(figures);
  if (!parsed.success) throw invalidRequest('The report', problemsOf(parsed.error));
  return parsed.data;
}

function stateOf(isStopped: boolean, incarnation: number, token: string | undefined): AgentStatus['state'] {
  if (isStopped) return 'stopped';
  if (token !== undefined) return 'registered';
  return incarnation === 0 ? 'new' : 'unavailable';
}
