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
import { askApi, callApi, shaped } from '../contracts/api-call.js';
import type { ClusterView } from '../contracts/clusters.js';
import { ackResults, type AckResults, type DeliveryView } from '../contracts/inbox.js';

export interface HandedOver {
  readonly deliveries: readonly DeliveryView[];
  /** The server's clock at the hand-over, by which lease ends are to be read; undefined when it did not say. */
  readonly serverTimeMs: number | undefined;
}

/** The calls that one agent makes, each with the token it holds at that moment. */
export interface AgentApi {
  register(token: string, agent: RegisterAgent, signal: AbortSignal): Promise<RegisteredAgent>;
  beat(token: string, heartbeat: Heartbeat, signal: AbortSignal, timeoutMs: number): Promise<HeartbeatAnswer>;
  receive(
    token: string,
    query: { readonly max: number; readonly waitSeconds: number },
    signal: AbortSignal,
  ): Promise<HandedOver>;
  ack(
    token: string,
    acks: readonly { readonly id: string; readonly leaseToken: string }[],
    signal: AbortSignal,
  ): Promise<AckResults>;
  answer(token: string, clusterId: string, answer: InvitationAnswer, signal: AbortSignal): Promise<void>;
  cluster(token: string, clusterId: string, signal: AbortSignal): Promise<ClusterView>;
  drain(token: string, signal: AbortSignal): Promise<void>;
  leave(token: string, signal: AbortSignal): Promise<void>;
}

export function createAgentApi(url: string, agentId: string): AgentApi {
  const own = `/v1/agents/${encodeURIComponent(agentId)}`;
  return {
    register: (token, agent, signal) =>
      askApi(url, registeredAgent, { method: 'POST', path: '/v1/agents', token, body: agent, signal }),
    beat: (token, heartbeat, signal, timeoutMs) =>
      askApi(url, heartbeatAnswer, {
        method: 'POST',
        path: `${own}/heartbeat`,
        token,
        body: heartbeat,
        signal,
        timeoutMs,
      }),
    receive: async (token, { max, waitSeconds }, signal) => {
      const timeoutMs = (waitSeconds + 10) * 1000;
      const query = { max, waitSeconds };
      const answer = await callApi(url, { method: 'GET', path: `${own}/inbox`, query, token, signal, timeoutMs });
      return { deliveries: shaped(url, inboxAnswer, answer).deliveries, serverTimeMs: answer.serverTimeMs };
    },
    ack: (token, acks, signal) =>
      askApi(url, ackResults, { method: 'POST', path: '/v1/deliveries/ack', token, body: { acks }, signal }),
    answer: async (token, clusterId, answer, signal) => {
      const path = `${own}/invitations/${encodeURIComponent(clusterId)}`;
      await callApi(url, { method: 'POST', path, token, body: answer, signal });
    },
    cluster: async (token, clusterId, signal) => {
      const path = `/v1/clusters/${encodeURIComponent(clusterId)}`;
      return (await askApi(url, clusterAnswer, { method: 'GET', path, token, signal })).cluster;
    },
    drain: async (token, signal) => void (await callApi(url, { method: 'POST', path: `${own}/drain`, token, signal })),
    leave: async (token, signal) => void (await callApi(url, { method: 'DELETE', path: own, token, signal })),
  };
}
