/**
 * The cluster manager in a minute, with real processes. PostgreSQL, Temporal, the server and a worker start; five agent
 * processes register and form a cluster. They form a second one although the worker is killed meanwhile. The agents send
 * messages while the server and the worker are killed, and every message is counted. At last a cluster grows and shrinks
 * with its load.
 *
 *   npm run demo                     prints the story
 *   npm run demo -- --json           also prints one JSON object with the figures as the last line
 *   npm run demo -- --keep           leaves everything running until Ctrl-C
 */
import { existsSync, mkdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { createHttpClient } from 'cluster-manager';
import { endOrphans } from '../src/dev-stack/processes/orphans.js';
import { lockStateFolder } from '../src/dev-stack/state/state-folder.js';
import { stateFolder } from '../src/dev-stack/paths.js';
import { identityOf, isRunning } from '../src/dev-stack/processes/process-identity.js';
import { startStack, type Stack } from '../src/dev-stack/stack.js';
import { spawnAgent, type AgentProcess, type AgentSpec } from './support/agent-processes.js';
import { formNewsroom, formWithKill, waitForRegistration, waitForRenewal } from './support/formation.js';
import { runMessaging } from './support/messaging.js';
import { runScaling } from './support/scaling.js';

const { values: options } = parseArgs({
  options: { json: { type: 'boolean', default: false }, keep: { type: 'boolean', default: false } },
});
const stateDir = join(stateFolder(), 'demo');
const journalFolder = join(stateDir, 'journals');
const journalOf = (id: string): string => join(journalFolder, `${id}.jsonl`);
const startedMs = performance.now();
const secondsSince = (ms: number): number => Math.round((performance.now() - ms) / 100) / 10;
const print = (...lines: string[]): void => lines.forEach((line) => console.log(line));

const staff: readonly AgentSpec[] = [
  { id: 'ada', capabilities: ['plan', 'review'], host: 'host-1' },
  { id: 'bo', capabilities: ['research'], host: 'host-2' },
  { id: 'cy', capabilities: ['write'], host: 'host-3' },
  { id: 'dee', capabilities: ['write', 'translate'], host: 'host-4' },
  { id: 'eli', capabilities: ['research', 'review'], host: 'host-5' },
];
const decideMs = 3000;

/** The processes to stop at the end. */
interface Running {
  stack?: Stack;
  readonly agents: AgentProcess[];
}

/** Empties the demo's state folder, after it has stopped what an earlier demo that was killed left running. */
async function emptyStateFolder(): Promise<void> {
  if (!existsSync(stateDir)) return;
  const release = lockStateFolder(stateDir);
  await endOrphans(stateDir, undefined);
  release();
  rmSync(stateDir, { recursive: true, force: true });
}

async function startManager(signal: AbortSignal): Promise<Stack> {
  print('', '1  Start PostgreSQL, Temporal, the server and a worker');
  await emptyStateFolder();
  const fromMs = performance.now();
  const stack = await startStack({
    stateDir,
    ports: 'free',
    signal,
    env: { CLUSTER_MANAGER_CONFIG: fileURLToPath(new URL('demo.yaml', import.meta.url)) },
    report: ({ part, message, level }) => {
      // The chapters print the kills themselves.
      if (level !== 'info' && !message.includes('SIGKILL')) print(`   ${part}: ${message}`);
    },
  });
  const processes = stack.processes().map(({ name, pid }) => `${name} ${pid}`);
  print(
    `   ready after ${secondsSince(fromMs)} s: ${processes.join(', ')}`,
    `   API          ${stack.urls.api}`,
    `   Temporal UI  ${stack.urls.temporalUi}`,
  );
  return stack;
}

async function runChapters(signal: AbortSignal, running: Running) {
  const stack = (running.stack = await startManager(signal));
  const { CLUSTER_MANAGER_ADMIN_TOKEN: token = '', CLUSTER_MANAGER_ENROLMENT_TOKEN: enrolmentToken = '' } = stack.env;
  const url = stack.urls.api ?? '';
  const api = createHttpClient({ url, token, signal });
  const startAgent = (spec: AgentSpec): AgentProcess => {
    const agent = spawnAgent(spec, { url, enrolmentToken });
    running.agents.push(agent);
    return agent;
  };

  print('', '2  Five agents, each a process of its own, register and send heartbeats');
  mkdirSync(journalFolder, { recursive: true });
  const agents = staff.map((spec) =>
    startAgent({ ...spec, acceptance: 'ask', maxClusters: 2, decideMs, journalPath: journalOf(spec.id) }),
  );
  const scene = { stack, api, agents, print };
  const leases = await waitForRegistration(scene);
  const newsroom = await formNewsroom(scene);
  const { formed: nightDesk, worker } = await formWithKill(scene, decideMs);
  await waitForRenewal(scene, leases);
  const active = (await api.listClusters({ query: { state: 'active' } })).clusters.length;

  const journals = [...staff.map(({ id }) => journalOf(id)), journalOf('orchestrator')];
  const messaging = await runMessaging({ ...scene, journals }, newsroom.clusterId);
  const scaling = await runScaling(scene, (id) => startAgent({ id, capabilities: ['print'], slots: 4 }));
  const { server, receipt, figures: messages } = messaging;
  return {
    agents: staff.length,
    formed: active,
    recoveredAfterKill: worker.newPid !== worker.pid && nightDesk.informed === staff.length,
    formationMs: newsroom.ms,
    formationWithKillMs: nightDesk.ms,
    workerBackMs: worker.restartMs,
    membersTold: newsroom.informed + nightDesk.informed,
    serverBackMs: server.restartMs,
    receipt: { state: receipt.state, matched: receipt.matched, acked: receipt.acked },
    messages,
    scaling,
  };
}

type Figures = Awaited<ReturnType<typeof runChapters>>;

function printSummary(figures: Figures): void {
  const { accepted, deliveries, received, acked, lost, repeated, afterAck } = figures.messages;
  const { grownTo, shrunkTo } = figures.scaling;
  print(
    '',
    '8  Summary',
    `   clusters: ${figures.formed} formed from the same five agents; ${figures.membersTold} member lists received; every lease renewed`,
    `   formation: ${figures.formationMs} ms; ${figures.formationWithKillMs} ms with the kill (the agents took ${decideMs} ms to decide, the worker ${figures.workerBackMs} ms to restart)`,
    `   messages, counted in the clients' own journals: ${accepted} accepted for ${deliveries} deliveries`,
    `   ${received} delivered (${repeated} of them redelivered before their ack), ${acked} acked, ${lost} lost, ${afterAck} redelivered after their ack`,
    `   scaling: 3 -> ${grownTo} -> ${shrunkTo} members, one of them added by the orchestrator (examples/demo.yaml shortens the time windows)`,
  );
}

function isSuccess({ formed, recoveredAfterKill, receipt, messages, scaling }: Figures): boolean {
  const { lost, afterAck, acked, deliveries } = messages;
  const isEveryMessageAcked = lost === 0 && afterAck === 0 && acked === deliveries && receipt.state === 'met';
  const isScaled = scaling.grownTo === 5 && scaling.shrunkTo === 4 && scaling.granted;
  return formed === 2 && recoveredAfterKill && isEveryMessageAcked && isScaled;
}

/** @returns how many processes still run. */
async function stopAll({ agents, stack }: Running): Promise<number> {
  const pids = [...agents, ...(stack?.processes() ?? [])].map(({ pid }) => pid);
  const identities = pids.flatMap((pid) => identityOf(pid) ?? []);
  await Promise.all(agents.map((agent) => agent.stop()));
  await stack?.stop();
  return identities.filter(isRunning).length;
}

async function main(): Promise<void> {
  const stopping = new AbortController();
  const stopped = new Promise<void>((resolve) => {
    for (const name of ['SIGINT', 'SIGTERM'] as const) {
      process.on(name, () => (stopping.abort(new Error(`Stopped by ${name}`)), resolve()));
    }
  });
  const running: Running = { agents: [] };
  print(
    'Agents form clusters and send messages; the worker is killed twice, the server once, and no message may be lost.',
  );
  try {
    const figures = await Promise.race([
      runChapters(stopping.signal, running),
      stopped.then(() => Promise.reject(new Error('The demo was stopped'))),
    ]);
    printSummary(figures);
    if (options.keep) {
      print('', `   Everything keeps running until Ctrl-C. Temporal UI: ${running.stack?.urls.temporalUi}`);
      await stopped;
    }
    const processesLeft = await stopAll(running);
    const ok = isSuccess(figures) && processesLeft === 0;
    const seconds = secondsSince(startedMs);
    print(
      `   ${processesLeft === 0 ? 'all processes ended' : `${processesLeft} PROCESSES STILL RUN`}; ${seconds} s in total`,
    );
    if (!options.keep)
      print('', 'To keep everything running and look at it in the Temporal UI: npm run demo -- --keep');
    if (options.json) console.log(JSON.stringify({ ok, ...figures, seconds, processesLeft }));
    process.exitCode = ok ? 0 : 1;
    if (ok) rmSync(stateDir, { recursive: true, force: true });
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    const processesLeft = await stopAll(running);
    print('', `The demo failed: ${reason}`);
    if (running.stack) print(`The logs of all processes are in ${join(stateDir, 'logs')}`);
    if (options.json) {
      console.log(JSON.stringify({ ok: false, reason, seconds: secondsSince(startedMs), processesLeft }));
    }
    process.exitCode = 1;
  }
}

await main();
