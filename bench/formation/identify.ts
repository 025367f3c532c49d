import { randomUUID } from 'node:crypto';
import { MockActivityEnvironment } from '@temporalio/testing';
import type { IdentifiedAgents } from '../../src/activities/formation/identify-agents.js';
import { createActivities } from '../../src/activities/index.js';
import { loadConfig } from '../../src/config/index.js';
import { clustersDatabase, type ClustersSchema } from '../../src/stores/clusters/index.js';
import type { CommunicationSchema } from '../../src/stores/communication/index.js';
import { openDatabase } from '../../src/stores/database.js';
import { migrate } from '../../src/stores/migrate.js';
import type { ResourcesSchema } from '../../src/stores/resources/index.js';
import { absolute, compared, quantile, type Figure } from '../figure.js';
import { withStack } from '../stack.js';
import { registerFleet } from './fleet.js';

const fleets = [100, 10_000, 100_000] as const;

/** (c) The whole step identifyAgents, with its commit, in fleets of increasing size. */
export const identify = (quick: boolean): Promise<Figure[]> =>
  withStack({ services: 'data' }, async (stack) => {
    const { CLUSTERS_DATABASE_URL = '', COMMUNICATION_DATABASE_URL = '', RESOURCES_DATABASE_URL = '' } = stack.env;
    const clusters = openDatabase<ClustersSchema>({ url: CLUSTERS_DATABASE_URL, applicationName: 'bench' });
    const communication = openDatabase<CommunicationSchema>({
      url: COMMUNICATION_DATABASE_URL,
      applicationName: 'bench',
    });
    const resources = openDatabase<ResourcesSchema>({ url: RESOURCES_DATABASE_URL, applicationName: 'bench' });
    await migrate({ url: CLUSTERS_DATABASE_URL, applicationName: 'bench' }, clustersDatabase);
    const activities = createActivities({
      clusters,
      communication,
      resources,
      settings: { ...loadConfig({ env: stack.env }), id: 'bench' },
    });
    const environment = new MockActivityEnvironment();
    const figures: Figure[] = [];
    let smallest = 0;
    for (const fleet of fleets) {
      await registerFleet(clusters, fleet);
      const samples: number[] = [];
      for (let index = 0; index < (quick ? 40 : 200); index += 1) {
        const operationId = `op_${randomUUID()}`;
        const ids = { operationId, clusterId: operationId.replace('op_', 'cl_') };
        const request = {
          name: 'bench',
          requiredCapabilities: ['plan', 'code'],
          size: { desired: 5 },
          resources: { slots: 1 },
        };
        const at = performance.now();
        const { reserved } = (await environment.run(activities.identifyAgents, {
          operationId,
          workflowId: `formation/${operationId}`,
          round: 0,
          for: { request },
        })) as IdentifiedAgents;
        // The first calls warm up the connection, the query plans and the process; they are not counted.
        if (index >= 5) samples.push(performance.now() - at);
        if (reserved !== 5) throw new Error(`identifyAgents reserved ${reserved} of 5 in a fleet of ${fleet}`);
        await environment.run(activities.releaseAgents, ids);
      }
      const p95 = quantile(samples, 0.95);
      smallest ||= p95;
      const name = `identifyAgents.p95.${fleet}`;
      figures.push(
        fleet === 100_000
          ? absolute(name, p95, 'ms', { text: '<= 50 ms', isMet: (value) => value <= 50 })
          : compared(name, p95, 'ms', { against: 'a fleet of 100', reference: smallest }),
      );
    }
    await Promise.all([clusters.destroy(), communication.destroy(), resources.destroy()]);
    return figures;
  });
