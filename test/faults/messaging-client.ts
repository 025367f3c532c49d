import { EventSourceParserStream } from 'eventsource-parser/stream';
import type { DeliveryView } from '../../src/contracts/inbox.js';
import type { MessageResult, NewMessage } from '../../src/contracts/messages.js';
import { openJournal, type Journal } from '../support/journal.js';
import type { DeploymentServer } from './deployment.js';

/** Longer than the server needs to detect a connection that died silently. */
const callTimeoutMs = 30_000;
const pauseMs = 250;

export interface AgentClient {
  readonly id: string;
  readonly token: string;
  readonly url: string;
  readonly journal: Journal;
  /** Messages sent so far; the count numbers the message ids. */
  readonly sent: { count: number };
}

const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

/** Makes one call. @returns its status and body; undefined without an answer, when its effect is unknown. */
async function call(
  { url, token }: Pick<AgentClient, 'url' | 'token'>,
  method: string,
  path: string,
  body?: unknown,
): Promise<{ readonly status: number; readonly body: unknown } | undefined> {
  try {
    const response = await fetch(`${url}${path}`, {
      method,
      headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
      signal: AbortSignal.timeout(callTimeoutMs),
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
    return { status: response.status, body: (await response.json()) as unknown };
  } catch {
    return undefined;
  }
}

/** Repeats a call until its answer is not a server error. @throws on a status of 4xx. */
export async function insist<Body>(
  client: Pick<AgentClient, 'url' | 'token'>,
  method: string,
  path: string,
  body?: unknown,
): Promise<Body> {
  for (;;) {
    const answer = await call(client, method, path, body);
    if (answer && answer.status < 500) {
      if (answer.status >= 400) throw new Error(`${method} ${path}: ${answer.status} ${JSON.stringify(answer.body)}`);
      return answer.body as Body;
    }
    await pause(pauseMs);
  }
}

/** Registers an agent whose client writes a journal of its own to `folder`. */
export async function enrol(
  { url, enrolmentToken }: Pick<DeploymentServer, 'url' | 'enrolmentToken'>,
  folder: string,
  agent: { readonly id: string; readonly capabilities?: readonly string[]; readonly maxClusters?: number },
): Promise<AgentClient> {
  const { token } = await insist<{ token: string }>({ url, token: enrolmentToken }, 'POST', '/v1/agents', agent);
  const journal = openJournal(`${folder}/${agent.id}.journal`);
  return { id: agent.id, token, url, journal, sent: { count: 0 } };
}

/**
 * Sends messages one call after the other, repeats each call until it is answered, and records every answer.
 * @param next returns the messages of the next call, or undefined to end.
 * @param onAccepted receives the number of accepted messages of each call.
 */
export async function sendAll(
  client: AgentClient,
  next: () => readonly NewMessage[] | undefined,
  onAccepted: (count: number) => void,
): Promise<void> {
  const { sent } = client;
  for (;;) {
    const messages = next()?.map((message) => {
      sent.count += 1;
      return { ...message, id: `${client.id}.${sent.count}`, order: sent.count };
    });
    if (!messages) return;
    const body = { messages: messages.map(({ order: _order, ...message }) => message) };
    for (;;) {
      const answer = await call(client, 'POST', '/v1/messages', body);
      const results = answer?.status === 202 ? (answer.body as { results: MessageResult[] }).results : undefined;
      for (const [place, { id, order }] of messages.entries()) {
        const result = results?.[place];
        client.journal.write({
          what: 'sent',
          source: client.id,
          id,
          order,
          outcome: result === undefined ? 'unknown' : result.accepted ? 'accepted' : 'refused',
          ...(result?.accepted ? { matched: result.matched } : {}),
        });
      }
      if (results) {
        onAccepted(results.filter((result) => result.accepted).length);
        break;
      }
      if (answer && answer.status < 500 && answer.status !== 429) {
        throw new Error(`A call of ${client.id} got ${answer.status}: ${JSON.stringify(answer.body)}`);
      }
      await pause(pauseMs);
    }
  }
}

export interface Reader {
  readonly received: () => number;
  readonly stop: () => Promise<void>;
}

/** Enough attempts to outlast every outage in these tests. */
const ackAttempts = 200;

/** Receives and acks an agent's deliveries, and records both in its journal, until it is stopped. */
export function startReader(
  client: AgentClient,
  { by = 'poll', max = 20 }: { readonly by?: 'poll' | 'stream'; readonly max?: number } = {},
): Reader {
  const stopping = new AbortController();
  let received = 0;
  const note = (deliveries: readonly DeliveryView[]): void => {
    for (const { id: deliveryId, leaseToken, attempt, message } of deliveries) {
      const { id: messageId, source } = message;
      client.journal.write({
        what: 'received',
        agentId: client.id,
        deliveryId,
        leaseToken,
        attempt,
        messageId,
        source,
      });
      received += 1;
    }
  };
  const read = (by === 'poll' ? poll : stream)(client, max, note, stopping.signal);
  return {
    received: () => received,
    stop: async () => {
      stopping.abort();
      await read;
    },
  };
}

/** Repeats the acks until they are answered. That is safe: a repeated ack is confirmed again. */
async function ackAll(client: AgentClient, deliveries: readonly DeliveryView[]): Promise<void> {
  const acks = deliveries.map(({ id, leaseToken }) => ({ id, leaseToken }));
  for (let attempt = 1; attempt <= ackAttempts; attempt += 1) {
    const answer = await call(client, 'POST', '/v1/deliveries/ack', { acks });
    const results = answer?.status === 200 ? (answer.body as { results: { acked: boolean }[] }).results : undefined;
    for (const [place, { id: deliveryId, leaseToken }] of acks.entries()) {
      const confirmed = results?.[place]?.acked ?? false;
      client.journal.write({ what: 'acked', agentId: client.id, deliveryId, leaseToken, confirmed });
    }
    if (results) return;
    await pause(pauseMs);
  }
}

type Note = (deliveries: readonly DeliveryView[]) => void;

async function poll(client: AgentClient, max: number, note: Note, signal: AbortSignal): Promise<void> {
  while (!signal.aborted) {
    const answer = await call(client, 'GET', `/v1/agents/${client.id}/inbox?max=${max}&waitSeconds=2`);
    if (answer?.status !== 200) {
      await pause(pauseMs);
      continue;
    }
    const { deliveries } = answer.body as { deliveries: DeliveryView[] };
    note(deliveries);
    if (deliveries.length > 0) await ackAll(client, deliveries);
  }
}

async function stream(client: AgentClient, max: number, note: Note, signal: AbortSignal): Promise<void> {
  const headers = { authorization: `Bearer ${client.token}`, accept: 'text/event-stream' };
  let held: DeliveryView[] = [];
  let acking = Promise.resolve();
  /** Deliveries that arrive during an ack are acked together in the next one. */
  const ackSoon = (delivery: DeliveryView): void => {
    held.push(delivery);
    if (held.length > 1) return;
    acking = acking.then(() => {
      const together = held;
      held = [];
      return ackAll(client, together);
    });
  };
  while (!signal.aborted) {
    try {
      const { body } = await fetch(`${client.url}/v1/agents/${client.id}/inbox?max=${max}`, { headers, signal });
      if (!body) continue;
      const events = body.pipeThrough(new TextDecoderStream()).pipeThrough(new EventSourceParserStream());
      for await (const { event, data } of events) {
        if (event !== 'delivery') continue;
        const delivery = JSON.parse(data) as DeliveryView;
        note([delivery]);
        ackSoon(delivery);
      }
    } catch {
      // The connection was cut. Deliveries that are not acked are delivered again when their leases expire.
    }
    if (!signal.aborted) await pause(pauseMs);
  }
  await acking;
}
