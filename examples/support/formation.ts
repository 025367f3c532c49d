import type { HttpClient } from 'cluster-manager';
import type { FormationResult, OperationView } from 'cluster-manager/contracts';
import { firstEvents, waitUntil } from './agent-processes.js';
import { kill, type Restart } from './kill.js';
import { completed, type Scene } from './scene.js';

const team = { requiredCapabilities: ['plan', 'research', 'write', 'review'], size: { min: 5, desired: 5, max: 5 } };

export interface Formed {
  readonly clusterId: string;
  readonly ms: number;
  /** How many members received the complete member list. */
  readonly informed: number;
}

/** Waits until every agent is registered. @returns when each lease expires. */
export async function waitForRegistration({ agents, api, print }: Scene): Promise<ReadonlyMap<string, string>> {
  const startedMs = performance.now();
  await waitUntil('all agents are registered', () => agents.every(({ events }) => events.length > 0));
  const refused = agents.flatMap(({ events }) => events.filter(({ event }) => event === 'refused'));
  if (refused.length > 0) throw new Error(`An agent could not register: ${JSON.stringify(refused[0])}`);
  const seconds = ((performance.now() - startedMs) / 1000).toFixed(1);
  print(`   registered after ${seconds} s: ${agents.map(({ id, pid }) => `${id} ${pid}`).join(', ')}`);
  return leasesOf(api);
}

const leasesOf = async (api: HttpClient): Promise<ReadonlyMap<string, string>> =>
  new Map((await api.listAgents()).agents.map(({ id, liveness }) => [id, liveness.leaseExpiresAt]));

export async function waitForRenewal({ agents, api }: Scene, leases: ReadonlyMap<string, string>): Promise<void> {
  await waitUntil('every lease is renewed', async () => {
    const now = await leasesOf(api);
    return agents.every(({ id }) => (now.get(id) ?? '') > (leases.get(id) ?? ''));
  });
}

export async function formNewsroom(scene: Scene): Promise<Formed> {
  scene.print('', '3  Form the cluster "newsroom": the four steps of formCluster');
  return waitUntilFormed(scene, await scene.api.request({ type: 'FORMATION', name: 'newsroom', ...team }));
}

/** Kills the worker while the agents decide about their invitations. @param decideMs how long they take. */
export async function formWithKill(
  scene: Scene,
  decideMs: number,
): Promise<{ readonly formed: Formed; readonly worker: Restart }> {
  const { api, agents, print } = scene;
  const seconds = decideMs / 1000;
  print(
    '',
    `4  Form "night desk" of the same agents, which take ${seconds} s to decide; the worker is killed meanwhile`,
  );
  const operation = await api.request({ type: 'FORMATION', name: 'night desk', ...team });
  const worker = await killWorker(scene, operation);
  const formed = await waitUntilFormed(scene, operation);
  const answersAfterKill = firstEvents(agents, 'accepted', formed.clusterId).filter(
    ({ at }) => Date.parse(at) >= worker.killedAtMs,
  ).length;
  if (answersAfterKill !== agents.length) {
    throw new Error(`Only ${answersAfterKill} of ${agents.length} agents accepted after the kill: it came too late`);
  }
  return { formed, worker };
}

/** Waits until the formation has completed and every member knows the member list, and prints both. */
async function waitUntilFormed({ api, agents, print }: Scene, operation: OperationView): Promise<Formed> {
  const ended = await completed(api, operation);
  const { clusterId, coordinator, members, epoch } = ended.result as FormationResult;
  const list = sortedIds(members);
  const informed = (): number =>
    firstEvents(agents, 'joined', clusterId).filter((event) => sortedIds(event['members']) === list).length;
  await waitUntil('every member has received the member list', () => informed() === members.length, 30_000);
  const ms = Date.parse(ended.endedAt ?? '') - Date.parse(ended.createdAt);
  print(
    `   steps: ${ended.steps.map((step) => `${step.name} ${step.state}`).join(', ')}`,
    `   formed after ${ms} ms: coordinator ${coordinator}, epoch ${epoch}`,
    `   ${informed()} of ${members.length} members received the member list: ${list}`,
    `   ${ended.temporalUrl}`,
  );
  return { clusterId, ms, informed: informed() };
}

const sortedIds = (members: unknown): string =>
  (members as { agentId: string }[])
    .map(({ agentId }) => agentId)
    .sort()
    .join(', ');

async function killWorker({ stack, api, agents, print }: Scene, { id, clusterId }: OperationView): Promise<Restart> {
  if (clusterId === null) throw new Error('The operation of the formation has no cluster id');
  await waitUntil('every agent is invited', () => firstEvents(agents, 'invited', clusterId).length === agents.length);
  const killed = kill(stack, 'worker-1');
  const { state, steps } = (await api.getOperation({ params: { id } })).operation;
  const done = steps.filter((step) => step.state === 'completed').map(({ name }) => name);
  if (state !== 'running' || done.length === steps.length) {
    throw new Error(`The formation was ${state} before the worker was killed`);
  }
  print(
    `   SIGKILL to worker-1 (${killed.pid}): ${done.join(', ')} completed, ${steps.length - done.length} steps to go, no agent has answered`,
  );
  const worker = await killed.restarted();
  print(`   worker-1 restarted as process ${worker.newPid} after ${worker.restartMs} ms`);
  return worker;
}
