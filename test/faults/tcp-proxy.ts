import { createServer, connect, type AddressInfo, type Socket } from 'node:net';

/** A proxy between a server and its database that fails as a network does: it drops data or cuts connections. */
export interface TcpProxy {
  readonly port: number;
  /** Drops all data on the open connections without closing them; new ones work. @returns how many it silenced. */
  readonly silence: () => number;
  /** Cuts the next connection that carries `text` when the answer arrives: the statement takes effect unanswered. */
  readonly cutAfter: (text: string) => Promise<void>;
  readonly close: () => Promise<void>;
}

interface Pair {
  readonly client: Socket;
  readonly upstream: Socket;
  isSilent: boolean;
  onAnswer: (() => void) | undefined;
}

export async function openTcpProxy(target: { readonly host: string; readonly port: number }): Promise<TcpProxy> {
  const pairs = new Set<Pair>();
  const wanted = new Map<string, () => void>();
  const server = createServer((client) => {
    const pair: Pair = { client, upstream: connect(target), isSilent: false, onAnswer: undefined };
    const { upstream } = pair;
    pairs.add(pair);
    const end = (): void => {
      // A silenced connection does not forward its end either.
      if (pair.isSilent) return;
      pairs.delete(pair);
      client.destroy();
      upstream.destroy();
    };
    for (const socket of [client, upstream]) {
      socket.setNoDelay(true);
      socket.on('error', end);
      socket.on('close', end);
    }
    client.on('data', (chunk) => {
      if (pair.isSilent) return;
      for (const [text, done] of wanted) {
        if (!chunk.includes(text)) continue;
        wanted.delete(text);
        pair.onAnswer = done;
      }
      upstream.write(chunk);
    });
    upstream.on('data', (chunk) => {
      if (pair.isSilent) return;
      if (!pair.onAnswer) return void client.write(chunk);
      pair.onAnswer();
      end();
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    port: (server.address() as AddressInfo).port,
    silence: () => {
      for (const pair of pairs) pair.isSilent = true;
      return pairs.size;
    },
    cutAfter: (text) => new Promise((resolve) => wanted.set(text, resolve)),
    close: async () => {
      for (const { client, upstream } of pairs) {
        client.destroy();
        upstream.destroy();
      }
      await new Promise((resolve) => server.close(resolve));
    },
  };
}
