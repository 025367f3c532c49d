import { Agent, request } from 'node:http';
import { readFileSync } from 'node:fs';
import { sql } from 'kysely';
import { clustersDatabase, hashToken, type ClustersSchema } from '../../src/stores/clusters/index.js';
import { openDatabase } from '../../src/stores/database.js';
import { migrate } from '../../src/stores/migrate.js';
import { absolute, quantile, type Figure } from '../figure.js';
import { withStack } from '../stack.js';
import { registerFleet } from './fleet.js';

const agents = 10_000;
const everyMs = 5_000;
const ticksPerSecond = 50;

const tokenOf = (index: number): string => `cmt_bench-agent-token-${String(index).padStart(8, '0')}`;

/** @returns the CPU seconds that a process has used, or 0 where /proc does not exist. */
function cpuSeconds(pid: number): number {
  try {
    const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1]?.split(' ') ?? [];
    return (Number(fields[11]) + Number(fields[12])) / 100;
  } catch {
    return 0;
  }
}

function sendHeartbeat(url: URL, agent: Agent, index: number): Promise<number> {
  const body = JSON.stringify({ load: 0.5, usage: { slots: 2 }, inboxDepth: 0 });
  return new Promise((resolve, reject) => {
    const call = request(
      {
        agent,
        host: url.hostname,
        port: url.port,
        method: 'POST',
        path: `/v1/agents/agent-${index}/heartbeat`,
        headers: {
          authorization: `Bearer ${tokenOf(index)}`,
          'content-type': 'application/json',
          'content-length': Buffer.byteLength(body),
        },
      },
      (response) => {
        response.resume();
        response.once('end', () => resolve(response.statusCode ?? 0));
      },
    );
    call.once('error', reject);
    call.end(body);
  });
}

/** (d) 10,000 agents, each with a token, that send a heartbeat every 5 s over HTTP: 2,000 per second. */
export const heartbeats = (quick: boolean): Promise<Figure[]> =>
  withStack({ services: 'all' }, async (stack) => {
    const db = openDatabase<ClustersSchema>({
      url: stack.env['CLUSTERS_DATABASE_URL'] ?? '',
      applicationName: 'bench',
    });
    await migrate({ url: stack.env['CLUSTERS_DATABASE_URL'] ?? '', applicationName: 'bench' }, clustersDatabase);
    await registerFleet(db, agents);
    for (let from = 1; from <= agents; from += 1000) {
      const indexes = Array.from({ length: 1000 }, (_, offset) => from + offset);
      await sql`
        insert into tokens (id, role, name, agent_id, hash, prefix)
        select 'tok_' || i, 'agent', 'agent-' || i, 'agent-' || i, h, 'cmt_benc'
        from unnest(${indexes}::int[], ${indexes.map((index) => hashToken(tokenOf(index)))}::bytea[]) t (i, h)`.execute(
        db,
      );
    }
    const url = new URL(stack.urls.api ?? '');
    const connections = new Agent({ keepAlive: true, maxSockets: 512 });
    const seconds = quick ? 10 : 30;
    const server = stack.processes().find(({ name }) => name.startsWith('server'))?.pid ?? 0;
    // One heartbeat of each agent before the measurement, because the first one also looks up the token.
    for (let from = 1; from <= agents; from += 250) {
      await Promise.all(Array.from({ length: 250 }, (_, offset) => sendHeartbeat(url, connections, from + offset)));
    }
    const perTick = agents / (everyMs / 1000) / ticksPerSecond;
    const latenciesMs: number[] = [];
    const refused: number[] = [];
    const calls: Promise<void>[] = [];
    let next = 1;
    const cpuBefore = cpuSeconds(server);
    const begin = performance.now();
    for (let tick = 0; tick < seconds * ticksPerSecond; tick += 1) {
      for (let call = 0; call < perTick; call += 1) {
        const index = next;
        next = (next % agents) + 1;
        const at = performance.now();
        calls.push(
          sendHeartbeat(url, connections, index).then((status) => {
            if (status === 200) latenciesMs.push(performance.now() - at);
            else refused.push(status);
          }),
        );
      }
      // An open workload: heartbeats are sent when they are due, without waiting for earlier responses.
      const due = begin + ((tick + 1) * 1000) / ticksPerSecond;
      await new Promise((resolve) => setTimeout(resolve, Math.max(0, due - performance.now())));
    }
    await Promise.all(calls);
    const elapsed = (performance.now() - begin) / 1000;
    const cpu = cpuSeconds(server) - cpuBefore;
    connections.destroy();
    const { rows } = await sql<{ renewed: number }>`
      select count(*) as renewed from agents where lease_expires_at < now() + interval '1 hour'`.execute(db);
    await db.destroy();
    return [
      absolute('heartbeats.rate', latenciesMs.length / elapsed, '/s'),
      absolute('heartbeats.refused', refused.length, 'heartbeats', { text: '0', isMet: (value) => value === 0 }),
      absolute('heartbeats.leasesRenewed', rows[0]?.renewed ?? 0, 'agents', {
        text: `${agents}`,
        isMet: (value) => value === agents,
      }),
      absolute('heartbeats.latency.p50', quantile(latenciesMs, 0.5), 'ms'),
      absolute('heartbeats.latency.p99', quantile(latenciesMs, 0.99), 'ms'),
      absolute('heartbeats.server.cpu', (cpu / elapsed) * 100, '% of a core'),
    ];
  });
