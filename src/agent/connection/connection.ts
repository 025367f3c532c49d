import { hasCode } from '../errors.js';
import type { Lifecycle } from '../lifecycle.js';
import { createAgentApi, type AgentApi } from './agent-api.js';
import { createWakeSignal, type WakeSignal } from './backoff.js';
import { createLease, type AgentLease } from './lease.js';
import { createServerClock, type ServerClock } from './server-clock.js';

/** What a part needs to call the manager in the agent's name. */
export interface Connection {
  readonly agentId: string;
  readonly api: AgentApi;
  readonly lease: AgentLease;
  readonly lifecycle: Lifecycle;
  readonly serverClock: ServerClock;
  /** Sends the next heartbeat now; with a dropped lease, registers again. */
  readonly heartbeatWake: WakeSignal;
  /** Monotonic, ms. */
  readonly nowMs: () => number;
}

export function createConnection(url: string, agentId: string, lifecycle: Lifecycle): Connection {
  const nowMs = (): number => performance.now();
  const serverClock = createServerClock(nowMs);
  return {
    agentId,
    api: createAgentApi(url, agentId, serverClock.note),
    lease: createLease(nowMs),
    lifecycle,
    serverClock,
    heartbeatWake: createWakeSignal(),
    nowMs,
  };
}

/** Drops the lease under which the manager refused a call, so that the agent registers again. */
export function dropRefusedLease({ lease, heartbeatWake }: Connection, token: string, refusal: unknown): void {
  lease.drop({ token, isTokenRefused: hasCode(refusal, 'unauthenticated') });
  heartbeatWake.wake();
}
