import type { Command } from '@commander-js/extra-typings';
import type { ClusterView } from '../../contracts/clusters.js';
import { defined } from '../../contracts/defined.js';
import type { OperationView } from '../../contracts/operations.js';
import { ago, counted, durationBetween, elapsed, pairsText } from '../format.js';
import { listCommand } from '../list-command.js';
import { acceptedOrCompleted, acceptedOutput, operationOutput } from '../operation-output.js';
import { wholeNumber } from '../option-parsers.js';
import { printing } from '../print.js';
import { facts, table } from '../table.js';

type Latency = NonNullable<ClusterView['communication']>['acked'];

function clusters(command: Command): void {
  listCommand(command, {
    description: 'list clusters, newest first',
    endpoint: 'listClusters',
    key: 'clusters',
    lines: clusterTable,
    document: clusterDocument,
  }).option('--state <state>', 'only clusters that are forming, active, dissolving, dissolved or failed');
  command
    .command('show <id>')
    .description('show a cluster with its members')
    .action(
      printing(async (api, id) => {
        const { cluster } = await api().getCluster({ params: { id } });
        return { document: { cluster: clusterDocument(cluster) }, lines: clusterLines(cluster) };
      }),
    );
  command
    .command('dissolve <id>')
    .description('dissolve a cluster after its members have drained')
    .option('--drain <seconds>', 'the time that members have to finish their deliveries', wholeNumber(0, 3600))
    .option('--wait', 'wait until it is dissolved')
    .action(
      printing(async (connect, id, { drain, wait }) => {
        const api = connect();
        const body = defined({ drainSeconds: drain });
        const { operation } = await api.dissolveCluster({ params: { id }, body });
        return acceptedOrCompleted(api, operation, { wait, lines: () => [`Cluster ${id} is dissolved.`] });
      }),
    );
}

const clusterTable = (listed: readonly ClusterView[]): string[] =>
  table(listed, {
    CLUSTER: (cluster) => cluster.id,
    NAME: (cluster) => cluster.name,
    STATE: (cluster) => cluster.state,
    MEMBERS: (cluster) => `${cluster.members.length}/${cluster.size.min}..${cluster.size.max}`,
    EPOCH: (cluster) => cluster.epoch,
    COORDINATOR: (cluster) => cluster.coordinator,
    CREATED: (cluster) => ago(cluster.createdAt),
  });

function clusterLines(cluster: ClusterView): string[] {
  const { size, communication } = cluster;
  return [
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
}

function latencyText({ count, p50Ms, p95Ms, p99Ms, withinThreshold }: Latency): string {
  if (p50Ms === null || p95Ms === null || p99Ms === null) return 'none yet';
  const share = withinThreshold === null ? '' : `; ${(withinThreshold * 100).toFixed(1)} % within the threshold`;
  const percentiles = `p50 ${elapsed(p50Ms)}, p95 ${elapsed(p95Ms)}, p99 ${elapsed(p99Ms)}`;
  return `${counted(count, 'delivery', 'deliveries')}, ${percentiles}${share}`;
}

/** A cluster with its stability as a number. */
function clusterDocument(cluster: ClusterView): object {
  return { ...cluster, stability: cluster.stability.score, communication: cluster.communication ?? null };
}

function operations(command: Command): void {
  listCommand(command, {
    description: 'list operations, newest first',
    endpoint: 'listOperations',
    key: 'operations',
    lines: operationTable,
  })
    .option('--state <state>', 'only those that are running, queued, completed, compensated, refused or cancelled')
    .option('--cluster <id>', 'only those of this cluster');
  command
    .command('show <id>')
    .description('show an operation with its steps')
    .action(printing(async (api, id) => operationOutput((await api().getOperation({ params: { id } })).operation)));
  command
    .command('cancel <id>')
    .description('cancel an operation and compensate its steps')
    .action(printing(async (api, id) => acceptedOutput((await api().cancelOperation({ params: { id } })).operation)));
}

const operationTable = (listed: readonly OperationView[]): string[] =>
  table(listed, {
    OPERATION: ({ id }) => id,
    TYPE: ({ type }) => type,
    STATE: ({ state }) => state,
    CREATED: ({ createdAt }) => ago(createdAt),
    TOOK: ({ createdAt, endedAt }) => endedAt && durationBetween(createdAt, endedAt),
    CLUSTER: ({ clusterId }) => clusterId,
    ERROR: ({ error }) => error?.code,
  });

export const commands = { clusters, operations };
