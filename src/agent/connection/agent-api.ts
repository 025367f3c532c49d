import { z } from 'zod';
import {
  heartbeatAnswer,
  registeredAgent,
  type Heartbeat,
  type InvitationAnswer,
  type RegisterAgent,
} from '../../contracts/agents.js';
import { clusterAnswer, inboxAnswer, topicAnswer, topicDeletedAnswer } from '../../contracts/api-answers.js';
import { callApi, openApi, shaped, type ApiCall } from '../../contracts/api-call.js';
import { ackResults, extendAnswer, nackAnswer, type Nack } from '../../contracts/inbox.js';
import { messageResults, type NewMessage } from '../../contracts/messages.js';
import { subscriptionView, type NewSubscription, type NewTopic } from '../../contracts/topics.js';

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

const subscribed = z.object({ subscription: subscriptionView, retained: z.int() });
/** A subscription, and how many retained messages were delivered with it. */
export type Subscribed = z.infer<typeof subscribed>;
const subscriptionsAnswer = z.object({ subscriptions: z.array(subscriptionView) });

/** The HTTP calls of one agent. */
export type AgentApi = ReturnType<typeof createAgentApi>;

const encode = encodeURIComponent;

type NoteServerTime = (serverTimeMs: number | undefined) => void;

/** @param noteServerTime receives the server's clock from each answer, ms since 1970. */
export function createAgentApi(url: string, agentId: string, noteServerTime: NoteServerTime) {
  const agent = `/v1/agents/${encode(agentId)}`;
  const request = createRequest(url, noteServerTime);
  const command = async (call: AgentCall, method: ApiCall['method'], path: string, body?: unknown): Promise<void> =>
    void (await request(call, method, path, z.unknown(), { body }));
  return {
    register: (call: AgentCall, registration: RegisterAgent) =>
      request(call, 'POST', '/v1/agents', registeredAgent, { body: registration }),
    heartbeat: (call: AgentCall, heartbeat: Heartbeat) =>
      request(call, 'POST', `${agent}/heartbeat`, heartbeatAnswer, { body: heartbeat }),
    drain: (call: AgentCall) => command(call, 'POST', `${agent}/drain`),
    leave: (call: AgentCall) => command(call, 'DELETE', agent),

    receive: async (call: AgentCall, query: { readonly max: number; readonly waitSeconds: number }) => {
      const timeoutMs = (query.waitSeconds + 10) * 1000;
      return (await request({ ...call, timeoutMs }, 'GET', `${agent}/inbox`, inboxAnswer, { query })).deliveries;
    },
    /** The call's signal ends the stream; each stream needs a signal of its own. */
    openInbox: async (call: AgentCall, max: number) => {
      const headers = { accept: 'text/event-stream' };
      const answer = await openApi(url, { method: 'GET', path: `${agent}/inbox`, query: { max }, headers, ...call });
      noteServerTime(answer.serverTimeMs);
      return answer;
    },
    ack: (call: AgentCall, acks: readonly DeliveryClaim[]) =>
      request(call, 'POST', '/v1/deliveries/ack', ackResults, { body: { acks } }),
    nack: (call: AgentCall, deliveryId: string, nack: Nack) =>
      request(call, 'POST', `/v1/deliveries/${encode(deliveryId)}/nack`, nackAnswer, { body: nack }),
    extend: (call: AgentCall, deliveryId: string, leaseToken: string) =>
      request(call, 'POST', `/v1/deliveries/${encode(deliveryId)}/extend`, extendAnswer, { body: { leaseToken } }),

    send: async (call: AgentCall, messages: readonly NewMessage[]) =>
      (await request(call, 'POST', '/v1/messages', messageResults, { body: { messages } })).results,
    subscribe: (call: AgentCall, subscription: NewSubscription) =>
      request(call, 'POST', `${agent}/subscriptions`, subscribed, { body: subscription }),
    unsubscribe: (call: AgentCall, subscriptionId: string) =>
      command(call, 'DELETE', `${agent}/subscriptions/${encode(subscriptionId)}`),
    subscriptions: async (call: AgentCall) =>
      (await request(call, 'GET', `${agent}/subscriptions`, subscriptionsAnswer)).subscriptions,
    createTopic: async (call: AgentCall, topic: NewTopic) =>
      (await request(call, 'POST', '/v1/topics', topicAnswer, { body: topic })).topic,
    deleteTopic: (call: AgentCall, name: string, mode: DeleteTopicMode) =>
      request(call, 'DELETE', `/v1/topics/${encode(name)}`, topicDeletedAnswer, { query: { mode } }),

    answerInvitation: (call: AgentCall, clusterId: string, answer: InvitationAnswer) =>
      command(call, 'POST', `${agent}/invitations/${encode(clusterId)}`, answer),
    cluster: async (call: AgentCall, clusterId: string) =>
      (await request(call, 'GET', `/v1/clusters/${encode(clusterId)}`, clusterAnswer)).cluster,
  };
}

const createRequest =
  (url: string, noteServerTime: NoteServerTime) =>
  async <Shape extends z.ZodType>(
    call: AgentCall,
    method: ApiCall['method'],
    path: string,
    shape: Shape,
    input: Pick<ApiCall, 'body' | 'query'> = {},
  ): Promise<z.output<Shape>> => {
    const answer = await callApi(url, { method, path, ...call, ...input });
    noteServerTime(answer.serverTimeMs);
    return shaped(url, shape, answer);
  };
