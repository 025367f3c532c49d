import type { Command } from 'commander';
import type { ClusterView } from '../../contracts/clusters.js';
import { apiAction } from '../api-action.js';
import { ago, counted, elapsed, pairsText } from '../format.js';
import { listCommand, type PageQuery } from '../list-command.js';
import { acceptedOutput, operationOutput, waitForCompletion } from '../operation-output.js';
import { wholeNumber, withoutUndefined } from '../option-parsers.js';
import { facts, table } from '../table.js';

type Latency = NonNullable<ClusterView['communication']>['acked'];

export function define(command: Command): void {
  addListCommand(command).option(
    '--state <state>',
    'only clusters that are forming, active, dissolving, dissolved or failed',
  );
  command.command('show <id>').description('show a cluster with its members').action(show);
  command
    .command('dissolve <id>')
    .description('dissolve a cluster after its members have drained')
    .option('--drain <seconds>', 'the time that members have to finish their deliveries', wholeNumber(0, 3600))
    .option('--wait', 'wait until it is dissolved')
    .action(dissolve);
}

const addListCommand = listCommand({
  description: 'list clusters, newest first',
  key: 'clusters',
  read: (api, query: PageQuery & { readonly state?: string }) => api.clusters(query),
  items: ({ clusters }) => clusters,
  lines: (clusters) =>
    table(clusters, {
      CLUSTER: (cluster) => cluster.id,
      NAME: (cluster) => cluster.name,
      STATE: (cluster) => cluster.state,
      MEMBERS: (cluster) => `${cluster.members.length}/${cluster.size.min}..${cluster.size.max}`,
      EPOCH: (cluster) => cluster.epoch,
      COORDINATOR: (cluster) => cluster.coordinator,
      CREATED: (cluster) => ago(cluster.createdAt),
    }),
  document: clusterDocument,
});

const show = apiAction(async (api, id: string) => {
  const cluster = await api.cluster(id);
  const { size, communication } = cluster;
  const lines = [
    ...facts({
      cluster: cluster.id,
      name: cluster.name,
      state: cluster.state,
      epoch: cluster.epoch,
      size: `${cluster.members.length} of ${size.min}..${size.max}, desired ${size.desired}`,
      coordinator: cluster.coordinator,
      capabilities: cluster.requiredCapabilities.join(' '),
      labels: pairsText(cluster.labels),
      links: cluster.links.map((pair) => pair.join('-')).join(' '),
      stability: cluster.stability.score?.toFixed(2) ?? 'unknown',
      'time to delivery': communication && latencyText(communication.handedOver),
      'time to ack': communication && latencyText(communication.acked),
      operation: cluster.operationId,
      created: cluster.createdAt,
      ended: cluster.endedAt,
    }),
    '',
    ...table(cluster.members, {
      AGENT: ({ agentId }) => agentId,
      ROLES: ({ roles }) => roles.join(' '),
      STATE: ({ state }) => state,
      JOINED: ({ joinedAt }) => ago(joinedAt),
    }),
  ];
  return { document: { cluster: clusterDocument(cluster) }, lines };
});

function latencyText({ count, p50Ms, p95Ms, p99Ms, withinThreshold }: Latency): string {
  if (p50Ms === null || p95Ms === null || p99Ms === null) return 'none yet';
  const share = withinThreshold === null ? '' : `; ${(withinThreshold * 100).toFixed(1)} % within the threshold`;
  const percentiles = `p50 ${elapsed(p50Ms)}, p95 ${elapsed(p95Ms)}, p99 ${elapsed(p99Ms)}`;
  return `${counted(count, 'delivery', 'deliveries')}, ${percentiles}${share}`;
}

const dissolve = apiAction(
  async (api, id: string, { drain, wait }: { readonly drain?: number; readonly wait?: true }) => {
    const accepted = await api.dissolveCluster(id, withoutUndefined({ drainSeconds: drain }));
    if (!wait) return acceptedOutput(accepted);
    return operationOutput(await waitForCompletion(api, accepted, { wait }), [`Cluster ${id} is dissolved.`]);
  },
);

/** A cluster with its stability as a number. */
function clusterDocument(cluster: ClusterView): object {
  return { ...cluster, stability: cluster.stability.score, communication: cluster.communication ?? null };
}
