/**
 * The cluster manager in a minute, with nothing simulated: PostgreSQL, Temporal, the API and a worker start, five agent
 * processes register, a cluster forms, and a second one forms although its worker is killed in the middle. The agents
 * talk, the server is killed meanwhile, the worker once more, and what became of each message is counted. At last a
 * cluster grows with its load, with an agent that the orchestrator grants, and shrinks again.
 *
 *   npm run demo                     the story
 *   npm run demo -- --json           the same, its last line one JSON object of what happened
 *   npm run demo -- --keep           leaves everything running until ctrl-C, to look at it in Temporal's UI
 */
import { existsSync, mkdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { createHttpClient, type HttpClient } from 'cluster-manager';
import type { FormationResult, OperationView } from 'cluster-manager/contracts';
import { endOrphans } from '../src/dev-stack/processes/orphans.js';
import { lockStateFolder } from '../src/dev-stack/state/state-folder.js';
import { stateFolder } from '../src/dev-stack/paths.js';
import { identityOf, isRunning } from '../src/dev-stack/processes/process-identity.js';
import { startStack, type Stack } from '../src/dev-stack/stack.js';
import { converse } from './support/conversation.js';
import { kill } from './support/kill.js';
import { scale } from './support/scale.js';
import { entriesOf, spawnAgent, until, type AgentProcess } from './support/agent-fleet.js';

const { values: options } = parseArgs({
  options: { json: { type: 'boolean', default: false }, keep: { type: 'boolean', default: false } },
});
const stateDir = join(stateFolder(), 'demo');
const journalFolder = join(stateDir, 'journals');
const journalOf = (id: string): string => join(journalFolder, `${id}.jsonl`);
const startedMs = performance.now();
const secondsSince = (ms: number): number => Math.round((performance.now() - ms) / 100) / 10;
const tell = (...lines: string[]): void => lines.forEach((line) => console.log(line));

const crew = [
  { id: 'ada', capabilities: ['plan', 'review'], host: 'host-1' },
  { id: 'bo', capabilities: ['research'], host: 'host-2' },
  { id: 'cy', capabilities: ['write'], host: 'host-3' },
  { id: 'dee', capabilities: ['write', 'translate'], host: 'host-4' },
  { id: 'eli', capabilities: ['research', 'review'], host: 'host-5' },
];
const team = { requiredCapabilities: ['plan', 'research', 'write', 'review'], size: { min: 5, desired: 5, max: 5 } };
const thinkMs = 3000;

interface Scene {
  readonly stack: Stack;
  readonly api: HttpClient;
  readonly agents: readonly AgentProcess[];
}

/** Empties the demo's own folder, after ending what a demo that was killed may have left running in it. */
async function emptyFolder(): Promise<void> {
  if (!existsSync(stateDir)) return;
  const release = lockStateFolder(stateDir);
  await endOrphans(stateDir, undefined);
  release();
  rmSync(stateDir, { recursive: true, force: true });
}

async function start(signal: AbortSignal): Promise<Stack> {
  tell('', '1  Start PostgreSQL, Temporal, the API and a worker');
  await emptyFolder();
  const fromMs = performance.now();
  const stack = await startStack({
    stateDir,
    ports: 'free',
    signal,
    env: { CLUSTER_MANAGER_CONFIG: fileURLToPath(new URL('demo.yaml', import.meta.url)) },
    report: ({ part, message, level }) => {
      if (level !== 'info') tell(`   ${part}: ${message}`);
    },
  });
  const parts = stack.processes().map(({ name, pid }) => `${name} ${pid}`);
  tell(`   ready after ${secondsSince(fromMs)} s, as processes ${parts.join(', ')}`);
  tell(`   API          ${stack.urls.api}`, `   Temporal UI  ${stack.urls.temporalUi}`);
  return stack;
}

async function register(agents: readonly AgentProcess[], api: HttpClient): Promise<ReadonlyMap<string, string>> {
  const fromMs = performance.now();
  await until('all agents are registered', () => agents.every(({ journal }) => journal.length > 0));
  const refused = agents.flatMap(({ journal }) => journal.filter(({ event }) => event === 'refused'));
  if (refused.length > 0) throw new Error(`An agent could not register: ${JSON.stringify(refused[0])}`);
  const leases = await leasesOf(api);
  tell(`   registered after ${secondsSince(fromMs)} s: ${agents.map(({ id, pid }) => `${id} ${pid}`).join(', ')}`);
  return leases;
}

const leasesOf = async (api: HttpClient): Promise<ReadonlyMap<string, string>> =>
  new Map((await api.agents()).agents.map(({ id, liveness }) => [id, liveness.leaseExpiresAt]));

/** Waits for a formation's end and for its news to reach every member; tells both. @returns the cluster's id and times. */
async function seeFormed(
  { api, agents }: Scene,
  id: string,
): Promise<{ clusterId: string; ms: number; reached: number }> {
  const ended = await api.waitForOperation(id, { timeoutMs: 120_000 });
  if (ended.state !== 'completed') throw new Error(`The formation was ${ended.state}: ${ended.error?.detail}`);
  const { clusterId, coordinator, members, epoch } = ended.result as FormationResult;
  const ids = members
    .map(({ agentId }) => agentId)
    .sort()
    .join(' ');
  const told = (): number =>
    entriesOf(agents, 'joined', clusterId).filter(({ members: list }) => idsOf(list) === ids).length;
  await until('the member list has reached every member', () => told() === members.length, 30_000);
  const ms = Date.parse(ended.endedAt ?? '') - Date.parse(ended.createdAt);
  tell(
    `   steps: ${ended.steps.map((step) => `${step.name} ${step.state}`).join(', ')}`,
    `   formed after ${ms} ms: coordinator ${coordinator}, epoch ${epoch}`,
    `   the member list "${ids}" reached ${told()} of ${members.length} members`,
    `   ${ended.temporalUrl}`,
  );
  return { clusterId, ms, reached: told() };
}

const idsOf = (members: unknown): string =>
  (members as { agentId: string }[])
    .map(({ agentId }) => agentId)
    .sort()
    .join(' ');

/** Kills the worker while a formation waits for its agents' answers. @returns how it came back. */
async function killInTheMiddle({ stack, api, agents }: Scene, accepted: OperationView) {
  const { id, clusterId } = accepted;
  if (clusterId === null) throw new Error('The formation names no cluster');
  await until('every agent is invited', () => entriesOf(agents, 'invited', clusterId).length === agents.length);
  const ending = kill(stack, 'worker-1');
  const { state, steps } = await api.operation(id);
  const done = steps.filter((step) => step.state === 'completed').map(({ name }) => name);
  if (state !== 'running' || done.length === steps.length) {
    throw new Error(`The formation was ${state} when the worker was killed: that was too late to show anything`);
  }
  tell(
    `   SIGKILL to worker-1 (${ending.pid}): ${done.join(', ')} done, ${steps.length - done.length} steps to go, no agent has answered`,
  );
  const back = await ending.back();
  tell(`   worker-1 is back as ${back.newPid} after ${back.backMs} ms`);
  return back;
}

async function play(signal: AbortSignal, opened: { stack?: Stack; agents: AgentProcess[] }) {
  const stack = (opened.stack = await start(signal));
  const { CLUSTER_MANAGER_ADMIN_TOKEN: token = '', CLUSTER_MANAGER_ENROLMENT_TOKEN: enrolmentToken = '' } = stack.env;
  const url = stack.urls.api ?? '';
  const api = createHttpClient({ url, token, signal });

  tell('', '2  Five agents, each a process of its own, register and send heartbeats');
  mkdirSync(journalFolder, { recursive: true });
  const agents = crew.map((agent) =>
    spawnAgent(
      { ...agent, acceptance: 'ask', maxClusters: 2, thinkMs, journalPath: journalOf(agent.id) },
      { url, enrolmentToken },
    ),
  );
  opened.agents = agents;
  const leases = await register(agents, api);
  const scene = { stack, api, agents };

  tell('', '3  Form the cluster "newsroom": formCluster, four retryable activities');
  const first = await api.request({ type: 'FORMATION', name: 'newsroom', ...team });
  const newsroom = await seeFormed(scene, first.id);

  tell(
    '',
    `4  Form "night desk" of the same five, who take ${thinkMs / 1000} s to decide, and kill the worker meanwhile`,
  );
  const second = await api.request({ type: 'FORMATION', name: 'night desk', ...team });
  const killed = await killInTheMiddle(scene, second);
  const nightDesk = await seeFormed(scene, second.id);
  const answersAfterKill = entriesOf(agents, 'accepted', nightDesk.clusterId).filter(
    ({ at }) => Date.parse(at) >= killed.killedMs,
  ).length;
  if (answersAfterKill !== agents.length) {
    throw new Error(
      `Only ${answersAfterKill} of ${agents.length} agents answered after the kill: it was not in the middle`,
    );
  }

  await until('every lease was renewed', async () => {
    const now = await leasesOf(api);
    return agents.every(({ id }) => (now.get(id) ?? '') > (leases.get(id) ?? ''));
  });
  const active = (await api.clusters({ state: 'active' })).clusters.length;
  const journals = [...crew.map(({ id }) => journalOf(id)), journalOf('orchestrator')];
  const talk = await converse({ ...scene, journals, tell }, newsroom.clusterId);
  const hire = (id: string): AgentProcess => {
    const agent = spawnAgent({ id, capabilities: ['print'], slots: 4 }, { url, enrolmentToken });
    opened.agents.push(agent);
    return agent;
  };
  const scaling = await scale({ api, tell, hire });
  return { newsroom, nightDesk, killed, active, talk, scaling };
}

async function main(): Promise<void> {
  const stopping = new AbortController();
  const stopped = new Promise<void>((resolve) => {
    for (const name of ['SIGINT', 'SIGTERM'] as const) {
      process.on(name, () => (stopping.abort(new Error(`Stopped by ${name}`)), resolve()));
    }
  });
  const opened: { stack?: Stack; agents: AgentProcess[] } = { agents: [] };
  const finish = async (): Promise<number> => {
    const pids = [...opened.agents, ...(opened.stack?.processes() ?? [])].map(({ pid }) => pid);
    const running = pids.flatMap((pid) => identityOf(pid) ?? []);
    await Promise.all(opened.agents.map((agent) => agent.stop()));
    await opened.stack?.stop();
    return running.filter(isRunning).length;
  };
  tell(
    'A cluster forms and talks, a worker and a server die, nothing is lost. All is real; see for yourself in the links.',
  );
  try {
    const { newsroom, nightDesk, killed, active, talk, scaling } = await Promise.race([
      play(stopping.signal, opened),
      stopped.then(() => Promise.reject(new Error('The demo was stopped'))),
    ]);
    const figures = {
      agents: crew.length,
      formed: active,
      recoveredAfterKill: killed.newPid !== killed.pid && nightDesk.reached === crew.length,
      formationMs: newsroom.ms,
      formationWithKillMs: nightDesk.ms,
      workerBackMs: killed.backMs,
      membersTold: newsroom.reached + nightDesk.reached,
      serverBackMs: talk.server.backMs,
      receipt: { state: talk.receipt.state, matched: talk.receipt.matched, acked: talk.receipt.acked },
      messages: talk.figures,
      scaling,
    };
    const { accepted, deliveries, received, acked, lost, repeated, afterAck } = talk.figures;
    tell('', '8  What was seen');
    tell(
      `   ${figures.formed} clusters active, ${figures.membersTold} member lists received, every lease renewed by heartbeats`,
      `   formation: ${figures.formationMs} ms undisturbed, ${figures.formationWithKillMs} ms with the kill (agents thought ${thinkMs} ms, the worker was away ${killed.backMs} ms)`,
      `   scaling: 3 -> ${scaling.grownTo} -> ${scaling.shrunkTo} members, one of them granted by the orchestrator (windows shortened for this story: see examples/demo.yaml)`,
      `   messages, as counted in the agents' own journals: ${accepted} accepted, which makes ${deliveries} deliveries`,
      `   ${received} delivered (${repeated} of them more than once before their ack), ${acked} acked, ${lost} lost, ${afterAck} delivered again after their ack`,
    );
    if (options.keep) {
      tell(
        '',
        `   Everything runs on until ctrl-C. Look at the four steps and the kill in Temporal's UI: ${opened.stack?.urls.temporalUi}`,
      );
      await stopped;
    }
    const left = await finish();
    const isWhole = lost === 0 && afterAck === 0 && acked === deliveries && talk.receipt.state === 'met';
    const isScaled = scaling.grownTo === 5 && scaling.shrunkTo === 4 && scaling.granted;
    const ok = isScaled && figures.formed === 2 && figures.recoveredAfterKill && isWhole && left === 0;
    const seconds = secondsSince(startedMs);
    tell(
      `   ${left === 0 ? 'all processes ended' : `${left} PROCESSES ARE LEFT`}; ${seconds} s in all${options.keep ? '' : '. To keep it running and look around: npm run demo -- --keep'}`,
    );
    if (options.json) console.log(JSON.stringify({ ok, ...figures, seconds, processesLeft: left }));
    process.exitCode = ok ? 0 : 1;
    if (ok) rmSync(stateDir, { recursive: true, force: true });
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    const left = await finish();
    tell('', `The demo failed: ${reason}`);
    if (opened.stack) tell(`What each process said is in ${join(stateDir, 'logs')}`);
    if (options.json) {
      console.log(JSON.stringify({ ok: false, reason, seconds: secondsSince(startedMs), processesLeft: left }));
    }
    process.exitCode = 1;
  }
}

await main();
