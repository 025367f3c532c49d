import { randomUUID } from 'node:crypto';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { DeliveryView, MessageView } from '../../../src/contracts/inbox.js';

export interface Call {
  readonly method: string;
  /** Without the query. */
  readonly path: string;
  readonly query: URLSearchParams;
  readonly token: string;
  readonly body: unknown;
  readonly atMs: number;
}

export interface Stream {
  /** Text as it is, half events and pings among it. */
  write(text: string | Uint8Array): void;
  deliver(...deliveries: readonly DeliveryView[]): void;
  end(): void;
  /** Cuts the connection. */
  destroy(): void;
  isClosed(): boolean;
}

/** Answers a call itself and returns true, or leaves it to the usual answer. */
export type Responder = (call: Call, response: ServerResponse) => boolean;

export interface FakeManager {
  readonly url: string;
  readonly calls: readonly Call[];
  readonly streams: readonly Stream[];
  /** Calls of one path, e.g. `POST /v1/messages`. */
  callsTo(methodAndPath: string | RegExp): readonly Call[];
  /** What is asked first from now on; the last one said counts. */
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

/** The manager's HTTP face as far as one agent sees it, for what a real one does only when something is broken. */
export async function startFakeManager(): Promise<FakeManager> {
  const calls: Call[] = [];
  const streams: Stream[] = [];
  let responder: Responder = () => false;
  let registrations = 0;

  const usual = (call: Call, response: ServerResponse): void => {
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
      if (!responder(call, response)) usual(call, response);
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    calls,
    streams,
    callsTo: (which) =>
      calls.filter(({ method, path }) =>
        typeof which === 'string' ? `${method} ${path}` === which : which.test(`${method} ${path}`),
      ),
    respond: (next) => void (responder = next),
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

export const eventOf = (delivery: DeliveryView): string =>
  `event: delivery\nid: ${delivery.id}\ndata: ${JSON.stringify(delivery)}\n\n`;

let sequence = 0;

/** A delivery that is leased now, for 30 s unless said otherwise. */
export function deliveryOf(
  message: Partial<MessageView> & { readonly id: string },
  { leaseMs = 30_000, attempt = 1 }: { readonly leaseMs?: number; readonly attempt?: number } = {},
): DeliveryView {
  sequence++;
  return {
    id: `1-${sequence}`,
    leaseToken: randomUUID(),
    leaseExpiresAt: new Date(Date.now() + leaseMs).toISOString(),
    attempt,
    sequence,
    message: {
      source: 'sender',
      type: 'test.hello',
      time: new Date().toISOString(),
      datacontenttype: 'application/json',
      to: null,
      clusterId: null,
      epoch: null,
      topic: null,
      correlationId: null,
      replyTo: null,
      partitionKey: null,
      data: null,
      ...message,
    },
  };
}

const agentView = (id: string, incarnation: number) => ({
  id,
  name: null,
  host: null,
  zone: null,
  labels: {},
  capabilities: [],
  resources: {},
  held: {},
  maxClusters: 1,
  clusters: [],
  acceptance: 'auto',
  concurrency: 1,
  incarnation,
  liveness: { state: 'alive', leaseExpiresAt: new Date(Date.now() + 30_000).toISOString() },
  readiness: { state: 'ready', load: 0, inboxDepth: 0 },
  reachability: { lastHandOverAt: null },
  quarantinedUntil: null,
  registeredAt: new Date().toISOString(),
});

const subscriptionView = ({
  pattern,
  queueGroup = null,
}: {
  readonly pattern: string;
  readonly queueGroup?: string | null;
}) => ({
  id: 'sub-1',
  agentId: 'a',
  pattern,
  queueGroup,
  suspended: false,
  createdAt: new Date().toISOString(),
});
