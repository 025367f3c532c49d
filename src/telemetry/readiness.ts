import { once } from 'node:events';
import { createServer, type Server } from 'node:http';

/**
 * Serves `GET /readyz` on 127.0.0.1: 200 while `isReady` is true, 503 before and after. The answer says nothing else, so it
 * needs no token.
 * @throws Error EADDRINUSE when another program listens on the port.
 */
export async function openReadinessEndpoint(options: {
  readonly port: number;
  readonly isReady: () => boolean;
}): Promise<Server> {
  const server = createServer((request, response) => {
    const isKnown = request.method === 'GET' && request.url === '/readyz';
    const ready = options.isReady();
    response.writeHead(isKnown ? (ready ? 200 : 503) : 404, {
      'content-type': 'application/json',
      connection: 'close',
    });
    response.end(isKnown ? JSON.stringify({ ready }) : undefined);
  });
  server.listen(options.port, '127.0.0.1');
  await once(server, 'listening');
  return server;
}
