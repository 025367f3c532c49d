import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { Client, Connection } from '@temporalio/client';
import { NativeConnection, Worker } from '@temporalio/worker';
import { inject } from 'vitest';
import { createActivities, type ActivitySettings, type WorkerParts } from '../../src/activities/index.js';
import { communicationSettings } from './messaging.js';
import './temporal-runtime.js';
import { createClusterManagerClient, type ClusterManagerClient } from '../../src/client/index.js';
import { ensureSearchAttributes } from '../../src/client/ensure-search-attributes.js';
import { resumeAbandonedOperations } from '../../src/operations/resume.js';

const bundle = fileURLToPath(new URL('../../dist/workflow-bundle.js', import.meta.url));

export interface TestWorker {
  readonly client: Client;
  readonly manager: ClusterManagerClient;
  readonly taskQueue: string;
  stop(): Promise<void>;
}

export const testSettings: ActivitySettings = {
  id: 'test-manager',
  capabilities: ['cluster_management', 'communication_management', 'scaling'],
  clusterSize: { min: 3, max: 10 },
  leaseSeconds: 30,
  invitationTimeoutSeconds: 10,
  invitationTries: 3,
  communication: communicationSettings,
  communicationLatencyMs: 1000,
  resourceUsageRatio: 0.8,
  stabilityScore: 0.9,
  scaling: {
    samplePeriodSeconds: 15,
    halfLifeSeconds: 60,
    windowSeconds: 1200,
    newMemberSeconds: 30,
    soakGrowSeconds: 60,
    soakShrinkSeconds: 120,
    budgetChanges: 4,
    reversalSeconds: 1800,
    blockSeconds: 1800,
    maxOverrun: 10,
  },
};

/** Starts a worker in this process on its own task queue, with the real activities unless the test replaces some. */
export async function startTestWorker(
  stores: Pick<WorkerParts, 'clusters' | 'communication' | 'resources'>,
  options: { readonly settings?: Partial<ActivitySettings>; readonly activities?: object } = {},
): Promise<TestWorker> {
  const { address, namespace } = inject('temporal');
  const taskQueue = `test-${process.pid}-${Math.random().toString(36).slice(2)}`;
  const connection = await NativeConnection.connect({ address });
  await ensureSearchAttributes(connection, namespace);
  const settings = { ...testSettings, ...options.settings, id: taskQueue };
  const clientConnection = await Connection.connect({ address });
  const client = new Client({ connection: clientConnection, namespace });
  const manager = createClusterManagerClient(client, taskQueue);
  const resume = async () => (await resumeAbandonedOperations({ clusters: stores.clusters, client: manager })).resumed;
  const worker = await Worker.create({
    connection,
    namespace,
    taskQueue,
    activities: {
      ...createActivities({ ...stores, settings, resumeAbandonedOperations: resume }),
      ...options.activities,
    },
    ...(existsSync(bundle)
      ? { workflowBundle: { codePath: bundle } }
      : { workflowsPath: fileURLToPath(new URL('../../src/workflows/index.ts', import.meta.url)) }),
    stickyQueueScheduleToStartTimeout: '2s',
  });
  const running = worker.run();
  return {
    client,
    manager,
    taskQueue,
    stop: async () => {
      worker.shutdown();
      await running;
      await clientConnection.close();
      await connection.close();
    },
  };
}
