import {
  heartbeatAnswer,
  registeredAgent,
  type Heartbeat,
  type HeartbeatAnswer,
  type InvitationAnswer,
  type RegisterAgent,
  type RegisteredAgent,
} from '../contracts/agents.js';
import { clusterAnswer, inboxAnswer } from '../contracts/api-answers.js';
import { callApi, openApi, shaped, type ApiCall, type OpenAnswer } from '../contracts/api-call.js';
import type { ClusterView } from '../contracts/clusters.js';
import {
  ackResults,
  extendAnswer,
  nackAnswer,
  type AckResults,
  type DeliveryView,
  type Nack,
} from '../contracts/inbox.js';
import { messageResults, type MessageResult, type NewMessage } from '../contracts/messages.js';
import { z } from 'zod';
import {
  subscriptionView,
  topicView,
  type NewSubscription,
  type NewTopic,
  type SubscriptionView,
  type TopicView,
} from '../contracts/topics.js';
import type { Ack } from './acks.js';

/** The calls that one agent makes, each with the token it holds at that moment. */
export interface AgentApi {
  register(token: string, agent: RegisterAgent, signal: AbortSignal): Promise<RegisteredAgent>;
  beat(token: string, heartbeat: Heartbeat, signal: AbortSignal, timeoutMs: number): Promise<HeartbeatAnswer>;
  receive(
    token: string,
    query: { readonly max: number; readonly waitSeconds: number },
    signal: AbortSignal,
  ): Promise<readonly DeliveryView[]>;
  /** @param signal ends the stream; one of its own for each. */
  openInbox(token: string, max: number, signal: AbortSignal): Promise<OpenAnswer>;
  ack(token: string, acks: readonly Ack[], signal: AbortSignal): Promise<AckResults>;
  nack(token: string, id: string, nack: Nack, signal: AbortSignal): Promise<void>;
  extend(token: string, id: string, leaseToken: string, signal: AbortSignal): Promise<{ leaseExpiresAt: string }>;
  send(token: string, messages: readonly NewMessage[], limit: CallLimit): Promise<readonly MessageResult[]>;
  subscribe(token: string, subscription: NewSubscription, limit: CallLimit): Promise<Subscribed>;
  unsubscribe(token: string, subscriptionId: string, limit: CallLimit): Promise<void>;
  subscriptions(token: string, limit: CallLimit): Promise<readonly SubscriptionView[]>;
  createTopic(token: string, topic: NewTopic, limit: CallLimit): Promise<TopicView>;
  deleteTopic(token: string, name: string, mode: DeleteTopicMode, limit: CallLimit): Promise<TopicDeleted>;
  answer(token: string, clusterId: string, answer: InvitationAnswer, signal: AbortSignal): Promise<void>;
  cluster(token: string, clusterId: string, signal: AbortSignal): Promise<ClusterView>;
  drain(token: string, signal: AbortSignal): Promise<void>;
  leave(token: string, signal: AbortSignal): Promise<void>;
}

export interface CallLimit {
  readonly signal: AbortSignal;
  readonly timeoutMs: number;
}

/** `drain` lets what is on its way arrive first, `force` makes dead letters of it. */
export type DeleteTopicMode = 'drain' | 'force';
const topicDeleted = z.object({ name: z.string(), state: z.enum(['draining', 'deleted']), deadLettered: z.int() });
export type TopicDeleted = z.infer<typeof topicDeleted>;
const topicAnswer = z.object({ topic: topicView });

const subscribed = z.object({ subscription: subscriptionView, retained: z.int() });
/** A subscription, and how many messages that its topics kept were delivered with it. */
export type Subscribed = z.infer<typeof subscribed>;
const subscriptionsAnswer = z.object({ subscriptions: z.array(subscriptionView) });

/** @param noteServerTime told the server's clock by each answer, ms since 1970. */
export function createAgentApi(
  url: string,
  agentId: string,
  noteServerTime: (serverTimeMs: number | undefined) => void,
): AgentApi {
  const own = `/v1/agents/${encodeURIComponent(agentId)}`;
  const deliveryPath = (id: string): string => `/v1/deliveries/${encodeURIComponent(id)}`;
  const ask = async <Shape extends z.ZodType>(shape: Shape, call: ApiCall): Promise<z.output<Shape>> => {
    const answer = await callApi(url, call);
    noteServerTime(answer.serverTimeMs);
    return shaped(url, shape, answer);
  };
  const tell = async (call: ApiCall): Promise<void> => void (await ask(z.unknown(), call));
  return {
    register: (token, agent, signal) =>
      ask(registeredAgent, { method: 'POST', path: '/v1/agents', token, body: agent, signal }),
    beat: (token, heartbeat, signal, timeoutMs) =>
      ask(heartbeatAnswer, { method: 'POST', path: `${own}/heartbeat`, token, body: heartbeat, signal, timeoutMs }),
    receive: async (token, query, signal) => {
      const timeoutMs = (query.waitSeconds + 10) * 1000;
      const call: ApiCall = { method: 'GET', path: `${own}/inbox`, query, token, signal, timeoutMs };
      return (await ask(inboxAnswer, call)).deliveries;
    },
    openInbox: async (token, max, signal) => {
      const headers = { accept: 'text/event-stream' };
      const answer = await openApi(url, {
        method: 'GET',
        path: `${own}/inbox`,
        query: { max },
        headers,
        token,
        signal,
      });
      noteServerTime(answer.serverTimeMs);
      return answer;
    },
    ack: (token, acks, signal) =>
      ask(ackResults, { method: 'POST', path: '/v1/deliveries/ack', token, body: { acks }, signal }),
    nack: async (token, id, nack, signal) =>
      void (await ask(nackAnswer, { method: 'POST', path: `${deliveryPath(id)}/nack`, token, body: nack, signal })),
    extend: (token, id, leaseToken, signal) =>
      ask(extendAnswer, { method: 'POST', path: `${deliveryPath(id)}/extend`, token, body: { leaseToken }, signal }),
    send: async (token, messages, limit) =>
      (await ask(messageResults, { method: 'POST', path: '/v1/messages', token, body: { messages }, ...limit }))
        .results,
    subscribe: (token, subscription, limit) =>
      ask(subscribed, { method: 'POST', path: `${own}/subscriptions`, token, body: subscription, ...limit }),
    unsubscribe: (token, id, limit) =>
      tell({ method: 'DELETE', path: `${own}/subscriptions/${encodeURIComponent(id)}`, token, ...limit }),
    subscriptions: async (token, limit) =>
      (await ask(subscriptionsAnswer, { method: 'GET', path: `${own}/subscriptions`, token, ...limit })).subscriptions,
    createTopic: async (token, topic, limit) =>
      (await ask(topicAnswer, { method: 'POST', path: '/v1/topics', token, body: topic, ...limit })).topic,
    deleteTopic: (token, name, mode, limit) => {
      const path = `/v1/topics/${encodeURIComponent(name)}`;
      return ask(topicDeleted, { method: 'DELETE', path, query: { mode }, token, ...limit });
    },
    answer: (token, clusterId, answer, signal) =>
      tell({
        method: 'POST',
        path: `${own}/invitations/${encodeURIComponent(clusterId)}`,
        token,
        body: answer,
        signal,
      }),
    cluster: async (token, clusterId, signal) => {
      const path = `/v1/clusters/${encodeURIComponent(clusterId)}`;
      return (await ask(clusterAnswer, { method: 'GET', path, token, signal })).cluster;
    },
    drain: (token, signal) => tell({ method: 'POST', path: `${own}/drain`, token, signal }),
    leave: (token, signal) => tell({ method: 'DELETE', path: own, token, signal }),
  };
}
