import { connect } from 'node:net';

/**
 * Whether a PostgreSQL server at this address accepts connections: it answers a start-up message with a request for a password,
 * a server in recovery with an error.
 */
export const acceptsConnections = (host: string, port: number, timeoutMs = 2_000): Promise<boolean> =>
  new Promise((resolve) => {
    const socket = connect({ host, port });
    const finish = (answer: boolean): void => {
      socket.destroy();
      resolve(answer);
    };
    socket.setTimeout(timeoutMs, () => finish(false));
    socket.once('error', () => finish(false));
    socket.once('close', () => finish(false));
    socket.once('data', (reply) => finish(reply[0] === 'R'.charCodeAt(0)));
    socket.once('connect', () => {
      const parameters = Buffer.from('user\0postgres\0database\0postgres\0\0');
      const head = Buffer.alloc(8);
      head.writeInt32BE(8 + parameters.length, 0);
      head.writeInt32BE(3 << 16, 4);
      socket.write(Buffer.concat([head, parameters]));
    });
  });
