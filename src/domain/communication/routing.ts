import type { ErrorCode } from '../../contracts/errors.js';
import type { Address, DeadLetterReason } from '../../contracts/messages.js';
import type { TopicView } from '../../contracts/topics.js';
import type { Candidate } from './least-outstanding.js';

/** A snapshot of everything that routing reads, limited to the addresses of the messages at hand. */
export interface Directory {
  /** Open clusters by id. A closed or unknown cluster is absent. */
  readonly clusters: ReadonlyMap<string, RoutingTable>;
  /** Agents that may be chosen: members with a role, agents with a capability, members of queue groups. */
  readonly agents: ReadonlyMap<string, Candidate>;
  /** Agents that have a capability; a sample when there are many. */
  readonly capabilities: ReadonlyMap<string, readonly string[]>;
  readonly topics: ReadonlyMap<string, RoutableTopic>;
  /** The open clusters of which an agent is a member. */
  readonly clustersOf: ReadonlyMap<string, readonly string[]>;
}

export interface RoutingTable {
  readonly epoch: number;
  readonly members: readonly { readonly agentId: string; readonly roles: readonly string[] }[];
}

export interface RoutableTopic extends Pick<TopicView, 'state' | 'publish' | 'subscribe'> {
  readonly keeps: boolean;
  readonly subscriptions: readonly { readonly agentId: string; readonly queueGroup: string | null }[];
}

export interface Sender {
  /** Null for operators and the manager itself, which may send to any address. */
  readonly agentId: string | null;
  /** `cluster`: the agent may send only to topics and to agents it shares a cluster with. */
  readonly reach: 'cluster' | 'fleet';
}

export interface RoutableMessage {
  readonly id: string;
  readonly sender: Sender;
  readonly to: Address;
}

export interface Recipient {
  readonly agentId: string;
  /** How the recipient was chosen: `agent`, `member`, `subscriber`, `role:<role>`, `capability:<name>`, `group:<name>`. */
  readonly via: string;
}

/** Splits `via` into how the recipient was chosen and, after a colon, the name it was chosen for. */
export const partsOfVia = (via: string): readonly [how: string, name: string] => {
  const colon = via.indexOf(':');
  return colon < 0 ? [via, ''] : [via.slice(0, colon), via.slice(colon + 1)];
};

export type Kind = 'agent' | 'role' | 'capability' | 'cluster' | 'clusters' | 'topic';

export type Route =
  | {
      readonly state: 'routed';
      readonly kind: Kind;
      readonly clusterId: string | null;
      readonly epoch: number | null;
      /** The epoch of each routing table that was used. */
      readonly epochs: Readonly<Record<string, number>>;
      readonly recipients: readonly Recipient[];
      /** The message has one recipient: when its inbox is full, the sender gets backpressure instead of a dead letter. */
      readonly single: boolean;
      readonly topic?: string;
      readonly retain?: boolean;
      /** The message has no recipient and becomes a dead letter. */
      readonly dead?: { readonly reason: DeadLetterReason; readonly detail: string };
    }
  | { readonly state: 'refused'; readonly code: ErrorCode; readonly detail: string };
