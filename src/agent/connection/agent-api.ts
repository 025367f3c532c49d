import type { Heartbeat, InvitationAnswer, RegisterAgent } from '../../contracts/agents.js';
import { openApi } from '../../contracts/api-call.js';
import { apiCallOf, callEndpoint, sendToEndpoint, type EndpointInput } from '../../contracts/call-endpoint.js';
import type { ResponseOf } from '../../contracts/endpoint.js';
import type { EndpointName, Endpoints } from '../../contracts/endpoints.js';
import type { Nack } from '../../contracts/inbox.js';
import type { NewMessage } from '../../contracts/messages.js';
import type { NewSubscription, NewTopic } from '../../contracts/topics.js';

/** What each call takes: the token that the agent holds at that moment, and when to give up. */
export interface AgentCall {
  readonly token: string;
  readonly signal: AbortSignal;
  /** Default 15,000. */
  readonly timeoutMs?: number;
}

/** One delivery under one lease. */
export interface DeliveryClaim {
  readonly id: string;
  readonly leaseToken: string;
}

/** `drain` delivers pending messages first, `force` dead-letters them. */
export type DeleteTopicMode = 'drain' | 'force';

/** A subscription, and how many retained messages were delivered with it. */
export type Subscribed = ResponseOf<Endpoints['subscribe']>;
export type TopicDeleted = ResponseOf<Endpoints['deleteTopic']>;

/** The HTTP calls of one agent. @param onServerTime receives the server's clock from each answer, ms since 1970. */
export function createAgentApi(url: string, agentId: string, onServerTime: (serverTimeMs: number | undefined) => void) {
  const own = { params: { id: agentId } };
  const request = <Name extends EndpointName>(call: AgentCall, name: Name, input: EndpointInput<Name>) =>
    callEndpoint(url, name, input, { ...call, onServerTime });
  const command = <Name extends EndpointName>(call: AgentCall, name: Name, input: EndpointInput<Name>) =>
    sendToEndpoint(url, name, input, { ...call, onServerTime });
  return {
    register: (call: AgentCall, body: RegisterAgent) => request(call, 'registerAgent', { body }),
    heartbeat: (call: AgentCall, body: Heartbeat) => request(call, 'heartbeat', { ...own, body }),
    drain: (call: AgentCall) => command(call, 'drainAgent', own),
    leave: (call: AgentCall) => command(call, 'removeAgent', own),

    receive: async (call: AgentCall, query: { readonly max: number; readonly waitSeconds: number }) => {
      const timeoutMs = (query.waitSeconds + 10) * 1000;
      return (await request({ ...call, timeoutMs }, 'readInbox', { ...own, query })).deliveries;
    },
    /** The call's signal ends the stream; each stream needs a signal of its own. */
    openInbox: async (call: AgentCall, max: number) => {
      const headers = { accept: 'text/event-stream' };
      const answer = await openApi(url, { ...apiCallOf('readInbox', { ...own, query: { max } }), headers, ...call });
      onServerTime(answer.serverTimeMs);
      return answer;
    },
    ack: (call: AgentCall, acks: readonly DeliveryClaim[]) => request(call, 'ackDeliveries', { body: { acks } }),
    nack: (call: AgentCall, id: string, body: Nack) => request(call, 'nackDelivery', { params: { id }, body }),
    extend: (call: AgentCall, id: string, leaseToken: string) =>
      request(call, 'extendDelivery', { params: { id }, body: { leaseToken } }),

    send: async (call: AgentCall, messages: readonly NewMessage[]) =>
      (await request(call, 'sendMessages', { body: { messages } })).results,
    subscribe: (call: AgentCall, body: NewSubscription) => request(call, 'subscribe', { ...own, body }),
    unsubscribe: (call: AgentCall, subscriptionId: string) =>
      command(call, 'unsubscribe', { params: { id: agentId, subscriptionId } }),
    subscriptions: async (call: AgentCall) => (await request(call, 'listSubscriptions', own)).subscriptions,
    createTopic: async (call: AgentCall, body: NewTopic) => (await request(call, 'createTopic', { body })).topic,
    deleteTopic: (call: AgentCall, name: string, mode: DeleteTopicMode) =>
      request(call, 'deleteTopic', { params: { name }, query: { mode } }),

    answerInvitation: (call: AgentCall, clusterId: string, body: InvitationAnswer) =>
      command(call, 'answerInvitation', { params: { id: agentId, clusterId }, body }),
    cluster: async (call: AgentCall, id: string) => (await request(call, 'getCluster', { params: { id } })).cluster,
  };
}
