import type { Heartbeat, Readiness } from '../contracts/agents.js';
import { createAgentApi } from './connection/agent-api.js';
import { createWakeSignal } from './connection/backoff.js';
import { createLease } from './connection/lease.js';
import { createServerClock } from './connection/server-clock.js';
import { createEmitter } from './emitter.js';
import { hasCode } from './errors.js';
import type { AgentEvents, AgentLogger } from './events.js';
import type { InvitationHandler, MessageHandler } from './handlers.js';
import { createLifecycle } from './lifecycle.js';
import { createPendingRequests } from './messaging/pending-requests.js';
import { settingsOf, type AgentOptions } from './options.js';

const ignore = (): void => undefined;
const silentLogger: AgentLogger = { debug: ignore, info: ignore, warn: ignore, error: ignore };

/** What heartbeats report about the agent. */
interface Reported {
  readiness: Readiness;
  /** A readiness is sent until the manager confirms it and not after: it would overwrite one that an operator sets later. */
  isReadinessPending: boolean;
  figures: Omit<Heartbeat, 'readiness'>;
}

/** What the parts of one agent share: its settings and state, its connection to the manager, its log and events. */
export type AgentContext = ReturnType<typeof createContext>;

/** @throws ManagerError as `settingsOf`. */
export function createContext(options: AgentOptions) {
  const settings = settingsOf(options);
  const agentId = settings.registration.id;
  const logger = options.logger ?? silentLogger;
  const nowMs = (): number => performance.now();
  const serverClock = createServerClock(nowMs);
  const lease = createLease(nowMs);
  const heartbeatWake = createWakeSignal();
  const pollWake = createWakeSignal();
  const handlers: { message?: MessageHandler; invitation?: InvitationHandler } = {};
  const reported: Reported = { readiness: 'ready', isReadinessPending: false, figures: {} };
  return {
    agentId,
    settings,
    handlers,
    reported,
    api: createAgentApi(settings.url, serverClock.note),
    lease,
    lifecycle: createLifecycle(agentId),
    requests: createPendingRequests(agentId, pollWake.wake),
    serverClock,
    /** Sends the next heartbeat now; with a dropped lease, registers again. */
    heartbeatWake,
    /** Woken when a poll may be due. */
    pollWake,
    /** Monotonic, ms. */
    nowMs,
    logger,
    events: createEmitter<AgentEvents>((error) => logger.error({ agentId, err: error }, 'event listener threw')),
    /** Drops the lease under which the manager refused a call, so that the agent registers again. */
    dropRefusedLease: (token: string, refusal: unknown): void => {
      lease.drop({ token, isTokenRefused: hasCode(refusal, 'unauthenticated') });
      heartbeatWake.wake();
    },
  };
}
