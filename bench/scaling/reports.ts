import { Client, Connection } from '@temporalio/client';
import { createClusterManagerClient } from '../../src/client/index.js';
import type { Stack } from '../../src/dev-stack/stack.js';
import { absolute, quantile, type Figure } from '../figure.js';
import { expectStatus, openHttp } from '../communication/http.js';
import { memberName } from './clusters.js';

const perSecond = 2000;
const ticksPerSecond = 50;
const reporters = 10_000;

/** (e) Usage reports of one sample each over HTTP, 2,000 per second, while the scaling interval assesses 10,000 clusters. */
export async function reports(stack: Stack, quick: boolean): Promise<Figure[]> {
  const {
    TEMPORAL_ADDRESS: address = '',
    TEMPORAL_NAMESPACE: namespace = '',
    CLUSTER_MANAGER_ADMIN_TOKEN: token = '',
  } = stack.env;
  const connection = await Connection.connect({ address });
  const manager = createClusterManagerClient(new Client({ connection, namespace }), 'cluster-manager-1');
  const http = openHttp(stack.urls.api ?? '', 512);
  const bodyOf = (index: number): string => {
    const agentId = memberName((index % reporters) + 1, 1 + (index % 5));
    return JSON.stringify({ samples: [{ agentId, resource: 'slots', amount: 2.6 }] });
  };
  const latenciesMs: number[] = [];
  const sendReport = async (index: number): Promise<void> => {
    const at = performance.now();
    expectStatus(await http.call('POST', '/v1/usage', { token, body: bodyOf(index) }), 202);
    latenciesMs.push(performance.now() - at);
  };
  const seconds = quick ? 5 : 20;
  for (let index = 0; index < 500; index += 1) await sendReport(index);
  latenciesMs.length = 0;
  const sent: Promise<void>[] = [];
  const begin = performance.now();
  const running = manager.runScalingInterval({ dryRun: false });
  for (let tick = 0; tick < seconds * ticksPerSecond; tick += 1) {
    for (let one = 0; one < perSecond / ticksPerSecond; one += 1) sent.push(sendReport(sent.length));
    const dueMs = begin + ((tick + 1) * 1000) / ticksPerSecond;
    await new Promise((resolve) => setTimeout(resolve, Math.max(0, dueMs - performance.now())));
  }
  await Promise.all([...sent, running]);
  const elapsedSeconds = (performance.now() - begin) / 1000;
  http.close();
  await connection.close();
  return [
    absolute('scaling.reports.rate', sent.length / elapsedSeconds, `reports/s of ${perSecond} requested`),
    absolute('scaling.reports.p50', quantile(latenciesMs, 0.5), 'ms'),
    absolute('scaling.reports.p99', quantile(latenciesMs, 0.99), 'ms'),
  ];
}
