import { readFileSync } from 'node:fs';
import type { Server } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { createAdaptorServer } from '@hono/node-server';
import type { ManagerConfig } from '../config/index.js';
import { ManagerError } from '../contracts/errors.js';
import type { Api } from './deps.js';

export interface Listener {
  readonly port: number;
  readonly url: string;
  /** Takes no new connections, waits up to `graceMs` for requests in flight, then closes their connections. */
  close(graceMs: number): Promise<void>;
}

/**
 * Serves the API at the configured address.
 * @throws ManagerError `port_busy`; `invalid_configuration` when the address does not belong to this machine.
 */
export async function listen(api: Api, config: Pick<ManagerConfig, 'host' | 'port' | 'tls'>): Promise<Listener> {
  const { host, port, tls } = config;
  const limits = { headersTimeout: 10_000, requestTimeout: 30_000, keepAliveTimeout: 65_000 };
  const server = createAdaptorServer({
    fetch: api.fetch,
    ...(tls
      ? { createServer: createTlsServer, serverOptions: { ...limits, ...readTls(tls) } }
      : { serverOptions: limits }),
  }) as Server;
  await new Promise<void>((resolve, reject) => {
    server.once('error', (error) => reject(listenError(error, host, port)));
    // After a restart all agents reconnect within seconds; Node's default backlog of 511 would refuse some.
    server.listen({ port, host, backlog: 4096 }, resolve);
  });
  const { port: actual } = server.address() as AddressInfo;
  return {
    port: actual,
    url: `${tls ? 'https' : 'http'}://${host.includes(':') ? `[${host}]` : host}:${actual}`,
    close: (graceMs) => closeServer(server, graceMs),
  };
}

function readTls({ certPath, keyPath }: NonNullable<ManagerConfig['tls']>) {
  return { cert: readFileSync(certPath), key: readFileSync(keyPath), minVersion: 'TLSv1.2' as const };
}

function closeServer(server: Server, graceMs: number): Promise<void> {
  return new Promise((resolve) => {
    const deadline = setTimeout(() => server.closeAllConnections(), graceMs);
    server.close(() => {
      clearTimeout(deadline);
      resolve();
    });
    server.closeIdleConnections();
  });
}

function listenError(error: NodeJS.ErrnoException, host: string, port: number): Error {
  if (error.code === 'EADDRINUSE') {
    return new ManagerError(
      'port_busy',
      `Port ${port} on ${host} is in use by another program; stop it, or set CLUSTER_MANAGER_PORT (0 uses a free port)`,
      { cause: error },
    );
  }
  if (error.code === 'EADDRNOTAVAIL' || error.code === 'EACCES' || error.code === 'ENOTFOUND') {
    return new ManagerError(
      'invalid_configuration',
      `The server cannot listen on ${host}:${port} (${error.code}); set CLUSTER_MANAGER_HOST to an address of this machine ` +
        'and CLUSTER_MANAGER_PORT to a port that this user may open',
      { cause: error },
    );
  }
  return error;
}
