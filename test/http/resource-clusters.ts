import { createTestDatabases } from '../support/database.js';
import { startTestWorker } from '../support/worker.js';
import { startTestApi, type TestApi } from './support.js';

/** The API with a worker behind it, and the clusters that tests of resources need. */
export interface ResourceApi {
  readonly test: TestApi;
  /** Forms a cluster of three agents. @returns its id, and the token of its first member. */
  clusterOf(name: string): Promise<{ readonly clusterId: string; readonly member: string }>;
  dissolve(clusterId: string): Promise<void>;
  stop(): Promise<void>;
}

export async function startResourceApi(): Promise<ResourceApi> {
  const databases = await createTestDatabases();
  const worker = await startTestWorker(databases);
  const test = await startTestApi({ databases, client: worker.manager });
  return {
    test,
    clusterOf: async (name) => {
      const tokens: string[] = [];
      for (const index of [0, 1, 2]) tokens.push(await test.register(`${name}-${index}`, { capabilities: [name] }));
      const { clusterId } = await worker.manager.formCluster({ requestId: name, name, requiredCapabilities: [name] });
      return { clusterId, member: tokens[0] ?? '' };
    },
    dissolve: async (clusterId) => {
      const body = { drainSeconds: 0 };
      const answer = await test.call('DELETE', `/v1/clusters/${clusterId}?wait=30`, { token: test.tokens.admin, body });
      if (answer.status !== 200) throw new Error(JSON.stringify(answer.body));
    },
    stop: async () => {
      await test.stop();
      await worker.stop();
      await databases.drop();
    },
  };
}
