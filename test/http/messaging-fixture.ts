import { createParser } from 'eventsource-parser';
import type { DeliveryView } from '../../src/contracts/inbox.js';
import type { DeadLetterView, MessageResult, MessageTrace, NewMessage } from '../../src/contracts/messages.js';
import type { CommunicationSettings } from '../../src/config/index.js';
import { openRoutes, routeAndDeliver } from '../../src/stores/communication/index.js';
import type { Answer, TestApi } from './support.js';

/** The calls that most tests of messaging make, over the HTTP API. */
export interface MessagingCalls {
  /** @returns one result per message. @throws when the call as a whole is refused. */
  send(token: string, ...messages: readonly Message[]): Promise<MessageResult[]>;
  receive(agentId: string, token: string, query?: string): Promise<DeliveryView[]>;
  /** @param what `ack`, `nack` or `extend`. */
  settle(
    token: string,
    delivery: Pick<DeliveryView, 'id' | 'leaseToken'>,
    what?: 'ack' | 'nack' | 'extend',
    more?: object,
  ): Promise<Answer>;
  trace(id: string, token?: string): Promise<MessageTrace>;
  deadLetters(query?: string): Promise<DeadLetterView[]>;
  /** Writes a cluster's routing table, as its formation does. @param members roles by agent id. */
  route(clusterId: string, members: Readonly<Record<string, readonly string[]>>, epoch?: number): Promise<void>;
  tune(change: Partial<CommunicationSettings>): void;
}

/** A message whose type and data have defaults. */
export type Message = Omit<NewMessage, 'type' | 'data'> & { readonly type?: string; readonly data?: unknown };

export function messagingOf(test: TestApi): MessagingCalls {
  return {
    send: async (token, ...messages) => {
      const body = { messages: messages.map((message) => ({ type: 'note', data: 1, ...message })) };
      const answer = await test.call('POST', '/v1/messages', { token, body });
      if (answer.status !== 202) throw new Error(`POST /v1/messages: ${JSON.stringify(answer.body)}${failureOf(test)}`);
      return (answer.body as { results: MessageResult[] }).results;
    },
    receive: async (agentId, token, query = '') => {
      const answer = await test.call('GET', `/v1/agents/${agentId}/inbox${query}`, { token });
      if (answer.status !== 200) throw new Error(`GET inbox of ${agentId}: ${JSON.stringify(answer.body)}`);
      return (answer.body as { deliveries: DeliveryView[] }).deliveries;
    },
    settle: (token, { id, leaseToken }, what = 'ack', more = {}) =>
      test.call('POST', `/v1/deliveries/${id}/${what}`, { token, body: { leaseToken, ...more } }),
    trace: async (id, token = test.tokens.viewer) => {
      const answer = await test.call('GET', `/v1/messages/${id}`, { token });
      return (answer.body as { message: MessageTrace }).message;
    },
    deadLetters: async (query = '') => {
      const answer = await test.call('GET', `/v1/dead-letters${query}`, { token: test.tokens.viewer });
      return (answer.body as { deadLetters: DeadLetterView[] }).deadLetters;
    },
    route: async (clusterId, members, epoch = 1) => {
      const { communication } = test.databases;
      await openRoutes(communication, clusterId, Object.keys(members));
      const routed = Object.entries(members).map(([agentId, roles]) => ({ agentId, roles }));
      await routeAndDeliver(communication, { clusterId, epoch, members: routed }, []);
    },
    tune: (change) => test.configure({ communication: { ...test.deps.config().communication, ...change } }),
  };
}

/** The last internal error in the server's log, which answers do not contain. */
export const failureOf = ({ log }: TestApi): string => log.findLast((line) => line.includes('request failed')) ?? '';

export const idsOf = (deliveries: readonly DeliveryView[]): string[] => deliveries.map(({ message }) => message.id);

export { codeOf } from './support.js';

export const only = <Value>(values: readonly Value[]): Value => {
  if (values.length !== 1) throw new Error(`One was expected: ${JSON.stringify(values)}`);
  return values[0] as Value;
};

/** An inbox that is read as server-sent events, with everything received so far. */
export interface TestStream {
  readonly status: number;
  readonly headers: Headers;
  /** The body of an answer that is not a stream. */
  readonly body: unknown;
  readonly deliveries: DeliveryView[];
  /** The `id` fields of the events. */
  readonly eventIds: (string | undefined)[];
  readonly comments: string[];
  readonly isOver: () => boolean;
  leave(): void;
}

export async function openStream(
  { url }: TestApi,
  agentId: string,
  { token, max = 10 }: { readonly token: string; readonly max?: number },
): Promise<TestStream> {
  const leaving = new AbortController();
  const response = await fetch(`${url}/v1/agents/${agentId}/inbox?max=${max}`, {
    headers: { authorization: `Bearer ${token}`, accept: 'text/event-stream' },
    signal: leaving.signal,
  });
  const isStream = response.headers.get('content-type')?.startsWith('text/event-stream') === true;
  let isOver = !isStream;
  const stream: TestStream = {
    status: response.status,
    headers: response.headers,
    body: isStream ? undefined : await response.json(),
    deliveries: [],
    eventIds: [],
    comments: [],
    isOver: () => isOver,
    leave: () => leaving.abort(),
  };
  const parser = createParser({
    onEvent: ({ event, id, data }) => {
      if (event !== 'delivery') throw new Error(`an event "${event}" is not known`);
      stream.eventIds.push(id);
      stream.deliveries.push(JSON.parse(data) as DeliveryView);
    },
    onComment: (comment) => stream.comments.push(comment.trim()),
  });
  const read = async (): Promise<void> => {
    const decoder = new TextDecoder();
    for await (const chunk of response.body ?? []) parser.feed(decoder.decode(chunk, { stream: true }));
  };
  if (isStream) {
    // The reader treats an ended, a cut and an abandoned connection alike.
    void read()
      .catch(() => undefined)
      .finally(() => {
        isOver = true;
      });
  }
  return stream;
}
