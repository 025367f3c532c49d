import type { HttpClient } from 'cluster-manager';
import type { OperationView, ScalingResult } from 'cluster-manager/contracts';
import { until, type AgentProcess } from './agent-fleet.js';

/** What this part of the story needs of the stage. */
export interface Press {
  readonly api: HttpClient;
  readonly tell: (...lines: string[]) => void;
  /** Starts one more agent that can print. */
  readonly hire: (id: string) => AgentProcess;
}

export interface ScalingStory {
  readonly grownTo: number;
  readonly shrunkTo: number;
  readonly granted: boolean;
}

const slots = 4;
const sampleMs = 1000;

/**
 * The load of a cluster rises and falls: it grows within its bounds, the orchestrator grants what the fleet lacks, and it
 * shrinks when the load has gone. The load is told by this script (the agents only print); everything else is real.
 */
export async function scale({ api, tell, hire }: Press): Promise<ScalingStory> {
  tell('', '7  A third cluster, "press", of three agents with four slots each: its load rises, then falls');
  const agents = [1, 2, 3, 4].map((index) => hire(`press-${index}`));
  await until('the printers are registered', () => agents.every(({ journal }) => journal.length > 0));
  const formed = await ended(
    api,
    await api.request({
      type: 'FORMATION',
      name: 'press',
      requiredCapabilities: ['print'],
      size: { min: 3, desired: 3, max: 5 },
    }),
  );
  const { clusterId } = formed.result as { clusterId: string };
  const load = tellLoad(api, clusterId);
  try {
    load.set(0.95 * slots);
    await load.told(3);
    const growing = await api.scaleCluster(clusterId, { drainSeconds: 5 });
    const request = await until('a request to the orchestrator', async () => {
      const { resourceRequests } = await api.resourceRequests({ clusterId, state: 'open' });
      return resourceRequests[0];
    });
    tell(
      '   usage 0.95 of 12 slots; one agent is free, two are wanted',
      `   the run waits for the orchestrator: ${request.id}, ${JSON.stringify(request.need)}`,
    );
    const fifth = hire('press-5');
    await until('the fifth printer is registered', () => fifth.journal.length > 0);
    await api.grantRequest(request.id, 'a fifth printer has come');
    tell(`   granted: press-5 (${fifth.pid}) has registered`);
    const grown = await see({ api, tell }, growing);
    load.set(0.1 * slots);
    tell('   the load falls; the cluster waits until nothing of the last 10 s speaks for its size any more');
    const shrinking = await until(
      'the scaling interval to shrink it',
      async () => {
        await load.told(1);
        const { started } = await api.runScalingInterval({ dryRun: false });
        return started.includes(clusterId);
      },
      60_000,
    ).then(() =>
      until('its run', async () => {
        const { operations } = await api.operations({ clusterId });
        return operations.find(({ id, type }) => type === 'SCALING' && id !== growing.id);
      }),
    );
    const shrunk = await see({ api, tell }, shrinking);
    return { grownTo: grown.size, shrunkTo: shrunk.size, granted: grown.joined.includes('press-5') };
  } finally {
    load.stop();
  }
}

async function ended(api: HttpClient, { id }: OperationView): Promise<OperationView> {
  const operation = await api.waitForOperation(id, { timeoutMs: 120_000 });
  if (operation.state === 'completed') return operation;
  throw new Error(`Operation ${id} was ${operation.state}: ${operation.error?.detail}`);
}

/** Waits for a scaling's end and tells what was decided, what became of it, and how stable the cluster is. */
async function see({ api, tell }: Pick<Press, 'api' | 'tell'>, started: OperationView): Promise<ScalingResult> {
  const operation = await ended(api, started);
  const result = operation.result as ScalingResult;
  const { scores } = await api.scores(result.clusterId, 1);
  const parts = Object.entries(scores.at(-1)?.parts ?? {}).map(([name, value]) => `${name} ${value?.toFixed(2)}`);
  tell(
    `   ${result.explanation}`,
    `   ${result.outcome}: ${result.from} -> ${result.size} members at epoch ${result.epoch}; ${result.verdict}`,
    `   stability score ${result.scoreAfter?.toFixed(3)} (${parts.join(', ')})`,
    `   ${operation.temporalUrl}`,
  );
  return result;
}

/** Tells the usage of whoever is a member, a sample a second. */
function tellLoad(api: HttpClient, clusterId: string) {
  let used = 0;
  let samples = 0;
  const timer = setInterval(() => {
    void (async () => {
      const { members } = await api.cluster(clusterId);
      await api.reportUsage(members.map(({ agentId }) => ({ agentId, resource: 'slots', amount: used })));
      samples += 1;
    })().catch(() => undefined);
  }, sampleMs);
  return {
    set: (slotsUsed: number): void => {
      used = slotsUsed;
    },
    told: async (more: number): Promise<void> => {
      const wanted = samples + more;
      await until('samples of usage', () => samples >= wanted, 30_000);
    },
    stop: (): void => clearInterval(timer),
  };
}
