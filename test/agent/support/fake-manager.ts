import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { DeliveryClaim } from '../../../src/agent/inbox/verdicts.js';
import type { DeliveryView } from '../../../src/contracts/inbox.js';
import { waitFor } from '../../support/wait-for.js';
import { agentView, eventOf, subscriptionView } from './views.js';

export interface Call {
  readonly method: string;
  /** Without the query. */
  readonly path: string;
  readonly query: URLSearchParams;
  readonly token: string;
  readonly body: unknown;
  readonly atMs: number;
}

export interface SentMessage {
  readonly id: string;
  readonly to: unknown;
  readonly type: string;
  readonly data: unknown;
  readonly correlationId?: string;
  readonly replyTo?: string;
  readonly ttlSeconds?: number;
}

export interface Stream {
  /** Writes raw text: pings, parts of events. */
  write(text: string | Uint8Array): void;
  deliver(...deliveries: readonly DeliveryView[]): void;
  end(): void;
  /** Breaks the connection. */
  destroy(): void;
  isClosed(): boolean;
}

/** Answers a call and returns true, or returns false for the default answer. */
export type Responder = (call: Call, response: ServerResponse) => boolean;

export interface FakeManager {
  readonly url: string;
  readonly calls: readonly Call[];
  readonly streams: readonly Stream[];
  /** Waits for the first inbox stream. */
  stream(): Promise<Stream>;
  /** Calls of one path, e.g. `POST /v1/messages`. */
  callsTo(methodAndPath: string | RegExp): readonly Call[];
  /** The acks of each call. */
  acks(): readonly (readonly DeliveryClaim[])[];
  nacks(): readonly Call[];
  /** The messages of each call. */
  sent(): readonly (readonly SentMessage[])[];
  /** Sets the responder that is asked before the default answers; replaces an earlier one. */
  respond(responder: Responder): void;
  stop(): Promise<void>;
}

export function answer(
  response: ServerResponse,
  status: number,
  body: unknown,
  headers: Record<string, string> = {},
): true {
  response.writeHead(status, { 'content-type': 'application/json', ...headers }).end(JSON.stringify(body));
  return true;
}

export const refuse = (
  response: ServerResponse,
  status: number,
  code: string,
  headers: Record<string, string> = {},
): true =>
  answer(response, status, { type: `urn:${code}`, title: code, status, code, detail: `refused: ${code}` }, headers);

/** A fake of the manager's HTTP API for one agent. It plays the failures that a real manager cannot be made to show. */
export async function startFakeManager(): Promise<FakeManager> {
  const calls: Call[] = [];
  const streams: Stream[] = [];
  let responder: Responder = () => false;
  let registrations = 0;

  const answerByDefault = (call: Call, response: ServerResponse): void => {
    const { method, path, query, body } = call;
    const key = `${method} ${path.replace(/^\/v1\/agents\/[^/]+/, '/v1/agents/:id').replace(/deliveries\/(?!ack$)[^/]+/, 'deliveries/:id')}`;
    switch (key) {
      case 'POST /v1/agents': {
        registrations++;
        const { id } = body as { id: string };
        return void answer(response, 201, {
          agent: agentView(id, registrations),
          token: `own-${registrations}`,
          leaseSeconds: 30,
          heartbeatSeconds: 5,
        });
      }
      case 'POST /v1/agents/:id/heartbeat':
        return void answer(response, 200, { leaseExpiresAt: new Date(Date.now() + 30_000).toISOString(), epoch: {} });
      case 'GET /v1/agents/:id/inbox':
        if (query.has('waitSeconds')) return void response.on('close', () => undefined);
        return void streams.push(openStream(response));
      case 'POST /v1/deliveries/ack': {
        const { acks } = body as { acks: { id: string }[] };
        return void answer(response, 200, { results: acks.map(({ id }) => ({ id, acked: true })) });
      }
      case 'POST /v1/deliveries/:id/nack':
        return void answer(response, 200, { id: path.split('/')[3], outcome: 'waiting' });
      case 'POST /v1/deliveries/:id/extend':
        return void answer(response, 200, {
          id: path.split('/')[3],
          leaseExpiresAt: new Date(Date.now() + 30_000).toISOString(),
        });
      case 'POST /v1/messages': {
        const { messages } = body as { messages: { id: string }[] };
        return void answer(response, 202, { results: messages.map(({ id }) => ({ id, accepted: true, matched: 1 })) });
      }
      case 'POST /v1/agents/:id/subscriptions':
        return void answer(response, 201, { subscription: subscriptionView(body as { pattern: string }), retained: 0 });
      default:
        return void answer(response, 200, {});
    }
  };
  const server = createServer((request, response) => {
    void read(request).then((call) => {
      calls.push(call);
      if (!responder(call, response)) answerByDefault(call, response);
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const callsTo = (wanted: string | RegExp): readonly Call[] =>
    calls.filter(({ method, path }) =>
      typeof wanted === 'string' ? `${method} ${path}` === wanted : wanted.test(`${method} ${path}`),
    );
  const bodiesOf = <Body>(methodAndPath: string): Body[] => callsTo(methodAndPath).map(({ body }) => body as Body);
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    calls,
    streams,
    callsTo,
    respond: (next) => void (responder = next),
    stream: () => waitFor('the inbox stream', () => streams[0]),
    acks: () => bodiesOf<{ acks: DeliveryClaim[] }>('POST /v1/deliveries/ack').map(({ acks }) => acks),
    nacks: () => callsTo(/^POST .*\/nack$/),
    sent: () => bodiesOf<{ messages: SentMessage[] }>('POST /v1/messages').map(({ messages }) => messages),
    stop: () => {
      server.closeAllConnections();
      return new Promise((resolve) => server.close(() => resolve()));
    },
  };
}

async function read(request: IncomingMessage): Promise<Call> {
  const chunks: Buffer[] = [];
  for await (const chunk of request) chunks.push(chunk as Buffer);
  const text = Buffer.concat(chunks).toString();
  const url = new URL(request.url ?? '/', 'http://fake');
  return {
    method: request.method ?? '',
    path: decodeURIComponent(url.pathname),
    query: url.searchParams,
    token: (request.headers.authorization ?? '').replace('Bearer ', ''),
    body: text === '' ? undefined : (JSON.parse(text) as unknown),
    atMs: performance.now(),
  };
}

function openStream(response: ServerResponse): Stream {
  response.writeHead(200, { 'content-type': 'text/event-stream' });
  response.flushHeaders();
  let isClosed = false;
  response.on('close', () => (isClosed = true));
  return {
    write: (text) => void response.write(text),
    deliver: (...deliveries) => void response.write(deliveries.map(eventOf).join('')),
    end: () => void response.end(),
    destroy: () => void response.destroy(),
    isClosed: () => isClosed,
  };
}
