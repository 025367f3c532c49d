import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { inject } from 'vitest';
import { insertToken, newToken } from '../../src/stores/clusters/index.js';
import { ProductProcess } from '../faults/product-process.js';
import { createTestDatabases } from '../support/database.js';

export interface Reply {
  readonly status: number;
  /** Bytes of the response body. */
  readonly bytes: number;
  readonly text: string;
}

export interface Damage {
  /** 95th percentile of the other agents' heartbeats while the attack ran, ms. */
  readonly heartbeatP95Ms: number;
  readonly heartbeatMaxMs: number;
  /** Heartbeats that got no 2xx answer. */
  readonly failedHeartbeats: readonly string[];
  /** Growth of the server's resident memory above its level before the attack, MiB. */
  readonly growthMiB: number;
  readonly replies: readonly Reply[];
}

export interface AttackedServer {
  readonly url: string;
  readonly tokens: { readonly admin: string; readonly orchestrator: string; readonly enrolment: string };
  call(method: string, path: string, token: string, body?: unknown): Promise<Reply>;
  /** Registers an agent and returns its token. */
  register(id: string, more?: object): Promise<string>;
  /**
   * Repeats an attack one call at a time in each of `lanes` loops beside the heartbeats of twenty other agents.
   * @param send one call.
   */
  attack(send: () => Promise<Reply>, options?: { readonly seconds?: number; readonly lanes?: number }): Promise<Damage>;
  stop(): Promise<void>;
}

/** A server of the built product in a process of its own, over real databases. */
export async function startAttackedServer(env: Readonly<Record<string, string>> = {}): Promise<AttackedServer> {
  const databases = await createTestDatabases();
  const folder = mkdtempSync(join(tmpdir(), 'cluster-manager-attacks-'));
  const port = await freePort();
  const settings = join(folder, 'cluster-manager.yaml');
  // A heartbeat waits for at most one window of the batch; a short one shows the delays that the attack causes.
  writeFileSync(settings, `${readFileSync('cluster-manager.yaml', 'utf8')}  agents: { heartbeat_window: 0.01 }\n`);
  const server = new ProductProcess('server', {
    port,
    logFile: join(folder, 'server.log'),
    env: {
      CLUSTERS_DATABASE_URL: databases.urls.clusters,
      COMMUNICATION_DATABASE_URL: databases.urls.communication,
      RESOURCES_DATABASE_URL: databases.urls.resources,
      CLUSTER_MANAGER_CONFIG: settings,
      TEMPORAL_ADDRESS: inject('temporal').address,
      ...env,
    },
  });
  await server.start();
  const url = `http://127.0.0.1:${port}`;
  const tokenOf = async (role: 'admin' | 'orchestrator' | 'agent') => {
    const token = newToken();
    await insertToken(databases.clusters, token, { role, name: `test ${role}` });
    return token;
  };
  const tokens = {
    admin: await tokenOf('admin'),
    orchestrator: await tokenOf('orchestrator'),
    enrolment: await tokenOf('agent'),
  };
  const call: AttackedServer['call'] = (method, path, token, body) =>
    reply(`${url}${path}`, method, token, body === undefined ? undefined : JSON.stringify(body));
  const register: AttackedServer['register'] = async (id, more = {}) => {
    const { text } = await call('POST', '/v1/agents', tokens.enrolment, { id, ...more });
    return (JSON.parse(text) as { token: string }).token;
  };
  const fleet = await Promise.all(
    Array.from({ length: 20 }, async (_, index) => ({
      id: `victim-${index}`,
      token: await register(`victim-${index}`),
    })),
  );
  return {
    url,
    tokens,
    call,
    register,
    attack: async (send, { seconds = 5, lanes = 4 } = {}) => {
      const victims = await startVictims(url, fleet);
      await sleep(1_000);
      const memory = watchMemory(server.pid ?? 0);
      const endsAtMs = performance.now() + seconds * 1_000;
      const replies: Reply[] = [];
      const repeat = async (): Promise<void> => {
        while (performance.now() < endsAtMs) replies.push(await send());
      };
      await Promise.all(Array.from({ length: lanes }, repeat));
      const growthMiB = memory.stop();
      return { ...(await victims.stop()), growthMiB, replies };
    },
    stop: async () => {
      await server.stop();
      await databases.drop();
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

/** A call whose body is sent as it is. */
export async function reply(url: string, method: string, token: string, body?: string): Promise<Reply> {
  const response = await fetch(url, {
    method,
    headers: {
      authorization: `Bearer ${token}`,
      ...(body === undefined ? {} : { 'content-type': 'application/json' }),
    },
    ...(body === undefined ? {} : { body }),
  });
  const text = await response.text();
  return { status: response.status, bytes: Buffer.byteLength(text), text };
}

async function startVictims(url: string, fleet: readonly { readonly id: string; readonly token: string }[]) {
  const script = fileURLToPath(new URL('victim.ts', import.meta.url));
  const child = spawn(process.execPath, ['--import', 'tsx', script, url, JSON.stringify(fleet)], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  await lines.next();
  return {
    stop: async (): Promise<Pick<Damage, 'heartbeatP95Ms' | 'heartbeatMaxMs' | 'failedHeartbeats'>> => {
      const ended = once(child, 'exit');
      child.kill('SIGTERM');
      const { value } = await lines.next();
      await ended;
      const { latenciesMs, failures } = JSON.parse(String(value)) as { latenciesMs: number[]; failures: string[] };
      latenciesMs.sort((a, b) => a - b);
      return {
        heartbeatP95Ms: latenciesMs[Math.floor(latenciesMs.length * 0.95)] ?? 0,
        heartbeatMaxMs: latenciesMs.at(-1) ?? 0,
        failedHeartbeats: failures,
      };
    },
  };
}

/** Samples the resident memory of a process every 20 ms. */
function watchMemory(pid: number) {
  const residentMiB = (): number =>
    Number(/VmRSS:\s+(\d+) kB/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1] ?? 0) / 1024;
  const before = residentMiB();
  let most = before;
  const timer = setInterval(() => {
    most = Math.max(most, residentMiB());
  }, 20);
  return {
    stop: () => {
      clearInterval(timer);
      return Math.max(most, residentMiB()) - before;
    },
  };
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, 'close');
  return port;
}
