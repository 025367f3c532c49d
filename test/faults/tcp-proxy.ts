import { createServer, connect, type AddressInfo, type Socket } from 'node:net';

/** Stands between a server and its database, and can fail in the ways that a network does and a process cannot. */
export interface TcpProxy {
  readonly port: number;
  /** The connections that are open now hear nothing from now on, and nobody tells either end. New ones work. */
  readonly silence: () => number;
  /** The next connection that carries this text is cut off when the answer to it comes: done, and nobody knows. */
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
      // Who is silent does not even say that it ends.
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
