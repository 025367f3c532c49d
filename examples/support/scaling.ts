import type { HttpClient } from 'cluster-manager';
import type { FormationResult, OperationView, ScalingResult } from 'cluster-manager/contracts';
import { waitUntil, type AgentProcess } from './agent-processes.js';
import { completed, type Scene } from './scene.js';

export interface ScalingOutcome {
  readonly grownTo: number;
  readonly shrunkTo: number;
  /** Whether the agent that the orchestrator added became a member. */
  readonly granted: boolean;
}

const slots = 4;
const sampleMs = 1000;

const scoreParts = [
  ['a', 'availability'],
  ['m', 'membership'],
  ['l', 'latency'],
  ['d', 'delivery'],
  ['b', 'balance'],
] as const;

/**
 * A cluster grows when its load rises, with one agent that the orchestrator adds, and shrinks when the load falls. The load
 * is reported by this script; everything else is real.
 * @param startAgent starts one more agent process of the kind that this cluster needs.
 */
export async function runScaling(
  { api, print }: Pick<Scene, 'api' | 'print'>,
  startAgent: (id: string) => AgentProcess,
): Promise<ScalingOutcome> {
  print('', '7  A third cluster, "press", has three agents with four slots each; its load rises, then falls');
  const clusterId = await formPress(api, startAgent);
  const load = reportLoad(api, clusterId);
  try {
    load.set(0.95 * slots);
    await load.reported(3);
    const scaling = await api.scaleCluster({ params: { id: clusterId }, body: { drainSeconds: 5 } });
    const growing = scaling.operation;
    await addRequestedAgent({ api, print }, clusterId, startAgent);
    const grown = await printScaling({ api, print }, growing);
    load.set(0.1 * slots);
    print('   the load falls; the cluster shrinks once no load within the last 10 s needs its present size');
    await waitUntil('the scaling interval shrinks the cluster', async () => {
      await load.reported(1);
      const { started } = await api.runScalingInterval({ body: { dryRun: false } });
      return started.includes(clusterId);
    });
    const shrinking = await waitUntil('the second scaling has started', async () => {
      const { operations } = await api.listOperations({ query: { clusterId } });
      return operations.find(({ id, type }) => type === 'SCALING' && id !== growing.id);
    });
    const shrunk = await printScaling({ api, print }, shrinking);
    return { grownTo: grown.size, shrunkTo: shrunk.size, granted: grown.joined.includes('press-5') };
  } finally {
    load.stop();
  }
}

/** Starts four agents and forms a cluster of three: one stays free. @returns the cluster's id. */
async function formPress(api: HttpClient, startAgent: (id: string) => AgentProcess): Promise<string> {
  const agents = [1, 2, 3, 4].map((number) => startAgent(`press-${number}`));
  await waitUntil('the agents of "press" are registered', () => agents.every(({ events }) => events.length > 0));
  const size = { min: 3, desired: 3, max: 5 };
  const request = { type: 'FORMATION' as const, name: 'press', requiredCapabilities: ['print'], size };
  const formed = await completed(api, await api.request(request));
  return (formed.result as FormationResult).clusterId;
}

/** Plays the orchestrator: starts the agent that the cluster asks for, and approves its request. */
async function addRequestedAgent(
  { api, print }: Pick<Scene, 'api' | 'print'>,
  clusterId: string,
  startAgent: (id: string) => AgentProcess,
): Promise<void> {
  const request = await waitUntil('the cluster has asked for capacity', async () => {
    const { resourceRequests } = await api.listResourceRequests({ query: { clusterId, state: 'open' } });
    return resourceRequests[0];
  });
  const need = request.need as { readonly agents: number; readonly requiredCapabilities: readonly string[] };
  print(
    '   95 % of the 12 slots are in use: the cluster needs two more agents, and one is free',
    `   the workflow asks the orchestrator for the other one: capacity request ${request.id} for ${need.agents} agent with the capability ${need.requiredCapabilities.join(', ')}`,
  );
  const agent = startAgent('press-5');
  await waitUntil('press-5 is registered', () => agent.events.length > 0);
  await api.grantResources({ params: { id: request.id }, body: { reason: 'press-5 was started' } });
  print(`   the orchestrator has started press-5 (${agent.pid}) and has approved the request`);
}

/** Waits for a scaling and prints its decision, its outcome and the cluster's stability score. */
async function printScaling(
  { api, print }: Pick<Scene, 'api' | 'print'>,
  started: OperationView,
): Promise<ScalingResult> {
  const { result: ended, temporalUrl } = await completed(api, started);
  const result = ended as ScalingResult;
  const { scores } = await api.getScore({ params: { id: result.clusterId }, query: { count: 1 } });
  const parts = scores.at(-1)?.parts;
  const named = scoreParts.map(([key, name]) => `${name} ${parts?.[key]?.toFixed(2) ?? 'unknown'}`);
  print(
    `   ${result.explanation}`,
    `   ${result.outcome}: ${result.from} -> ${result.size} members at epoch ${result.epoch}; ${result.verdict}`,
    `   stability score ${result.scoreAfter?.toFixed(3)} (${named.join(', ')})`,
    `   ${temporalUrl}`,
  );
  return result;
}

/** Reports the same usage for every member of a cluster, once a second. */
function reportLoad(api: HttpClient, clusterId: string) {
  let used = 0;
  let samples = 0;
  const timer = setInterval(() => {
    void (async () => {
      const { members } = (await api.getCluster({ params: { id: clusterId } })).cluster;
      const usage = members.map(({ agentId }) => ({ agentId, resource: 'slots', amount: used }));
      await api.reportUsage({ body: { samples: usage } });
      samples += 1;
    })().catch(() => undefined);
  }, sampleMs);
  return {
    /** @param slotsUsed by each member. */
    set: (slotsUsed: number): void => {
      used = slotsUsed;
    },
    /** Waits for that many more samples. */
    reported: async (more: number): Promise<void> => {
      const wanted = samples + more;
      await waitUntil('usage is reported', () => samples >= wanted, 30_000);
    },
    stop: (): void => clearInterval(timer),
  };
}
