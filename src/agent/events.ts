import type { Readiness } from '../contracts/agents.js';
import type { DeliveryView } from '../contracts/inbox.js';

/** A cluster as one of its members knows it. */
export interface KnownCluster {
  readonly id: string;
  readonly name: string | null;
  /** Rises with every change of membership; information with a lower epoch is outdated. */
  readonly epoch: number;
  readonly coordinator: string | null;
  readonly members: readonly { readonly agentId: string; readonly roles: readonly string[] }[];
}

/** Why an agent left a cluster. `missed`: a heartbeat's answer showed it; the message about it was not received. */
export type LeftReason = 'removed' | 'dissolved' | 'missed';

export interface AgentEvents {
  /** `again`: this process had registered before. */
  readonly registered: { readonly incarnation: number; readonly leaseSeconds: number; readonly again: boolean };
  readonly joined: { readonly cluster: KnownCluster };
  readonly changed: { readonly cluster: KnownCluster };
  readonly left: { readonly clusterId: string; readonly reason: LeftReason };
  /** A delivery was received and is not yet handled. It is redelivered under another lease until its ack is confirmed. */
  readonly received: { readonly delivery: DeliveryView };
  /** The manager confirmed the ack of a delivery, which is not redelivered. */
  readonly acked: { readonly deliveryId: string; readonly leaseToken: string };
  /** The agent's lease expired: the manager may give its work to others. No message is handled until it has registered again. */
  readonly 'lost-lease': { readonly silentMs: number };
  /** A heartbeat succeeded after others had failed. */
  readonly reconnected: { readonly silentMs: number };
  readonly error: Error;
}

export interface AgentStatus {
  readonly id: string;
  /** `unavailable`: not registered at the moment, whatever `readiness` is. */
  readonly state: 'new' | 'registered' | 'unavailable' | 'stopped';
  readonly readiness: Readiness;
  readonly incarnation: number;
  readonly clusters: readonly string[];
}

type Log = (fields: object, message: string) => void;
/** Log of the library, in pino's shape: fields first, then a constant message. Fields never contain tokens. */
export type AgentLogger = Readonly<Record<'debug' | 'info' | 'warn' | 'error', Log>>;
