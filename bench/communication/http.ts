import { Agent, request, type IncomingMessage } from 'node:http';

export interface Answer {
  readonly status: number;
  readonly text: string;
}

export interface Call {
  readonly token: string;
  /** JSON text, serialized in advance where possible: the client runs on the machine that it measures. */
  readonly body?: string | Buffer;
}

/** A minimal HTTP client: keep-alive sockets, no parsing, so that it takes little of the measured machine. */
export function openHttp(url: string, sockets: number) {
  const { hostname: host, port } = new URL(url);
  const agent = new Agent({ keepAlive: true, maxSockets: sockets });
  const open = (method: string, path: string, { token, body }: Call, headers: Record<string, string> = {}) =>
    new Promise<IncomingMessage>((resolve, reject) => {
      const call = request({
        agent,
        host,
        port,
        method,
        path,
        headers: {
          authorization: `Bearer ${token}`,
          ...(body === undefined
            ? {}
            : { 'content-type': 'application/json', 'content-length': Buffer.byteLength(body) }),
          ...headers,
        },
      });
      call.once('response', resolve).once('error', reject);
      call.end(body);
    });
  const call = async (method: string, path: string, options: Call): Promise<Answer> => {
    const response = await open(method, path, options);
    const chunks: Buffer[] = [];
    return new Promise((resolve, reject) => {
      response.on('data', (chunk: Buffer) => chunks.push(chunk));
      response.once('error', reject);
      response.once('end', () =>
        resolve({ status: response.statusCode ?? 0, text: Buffer.concat(chunks).toString('utf8') }),
      );
    });
  };
  return { open, call, close: () => agent.destroy() };
}

export type Http = ReturnType<typeof openHttp>;

/** @returns the body of a response. @throws Error when its status is not `wanted`. */
export function expectStatus({ status, text }: Answer, wanted: number): string {
  if (status !== wanted)
    throw new Error(`The response has status ${status}, expected ${wanted}: ${text.slice(0, 500)}`);
  return text;
}
