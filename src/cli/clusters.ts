import type { Command } from 'commander';
import type { ClusterView } from '../contracts/clusters.js';
import { wholeNumber } from './arguments.js';
import { connect } from './connection.js';
import { operationDocument, requireCompleted, showAccepted } from './operation-text.js';
import { ago, amounts, counted, elapsed, facts, show, table } from './output.js';
import { limitOption, moreLine, readPages } from './pages.js';

type Latency = NonNullable<ClusterView['communication']>['acked'];

export function define(command: Command): void {
  command
    .command('list')
    .description('clusters, the newest first')
    .option('--state <state>', 'only forming, active, dissolving, dissolved or failed')
    .option(...limitOption)
    .action(list);
  command.command('show <id>').description('one cluster with its members').action(showOne);
  command
    .command('dissolve <id>')
    .description('end a cluster after its mail was taken')
    .option('--drain <seconds>', 'how long members may still take their mail', wholeNumber(0, 3600))
    .option('--wait', 'wait for the end')
    .action(dissolve);
}

async function list(options: { readonly state?: string; readonly limit: number }, command: Command): Promise<void> {
  const { limit, ...filter } = options;
  const api = connect(command);
  const { items, more } = await readPages(limit, async (query) => {
    const { clusters, nextCursor } = await api.clusters({ ...filter, ...query });
    return { items: clusters, nextCursor };
  });
  const rows = items.map((cluster) => [
    cluster.id,
    cluster.name,
    cluster.state,
    `${cluster.members.length}/${cluster.size.min}..${cluster.size.max}`,
    String(cluster.epoch),
    cluster.coordinator ?? '',
    ago(cluster.createdAt),
  ]);
  const headings = ['CLUSTER', 'NAME', 'STATE', 'MEMBERS', 'EPOCH', 'COORDINATOR', 'CREATED'];
  const lines = rows.length === 0 ? ['No clusters.'] : table(headings, rows);
  show(command, { clusters: items.map(documentOf), more }, [...lines, ...moreLine('clusters', limit, more)]);
}

async function showOne(id: string, _options: object, command: Command): Promise<void> {
  const cluster = await connect(command).cluster(id);
  const { min, desired, max } = cluster.size;
  show(command, { cluster: documentOf(cluster) }, [
    ...facts([
      ['cluster', cluster.id],
      ['name', cluster.name],
      ['state', cluster.state],
      ['epoch', cluster.epoch],
      ['size', `${cluster.members.length} of ${min}..${max}, wanted ${desired}`],
      ['coordinator', cluster.coordinator],
      ['capabilities', cluster.requiredCapabilities.join(' ')],
      ['labels', amounts(cluster.labels)],
      ['links', cluster.links.map((pair) => pair.join('-')).join(' ')],
      ['stability', cluster.stability.score?.toFixed(2) ?? 'unknown'],
      ...latencyFacts(cluster),
      ['operation', cluster.operationId],
      ['created', cluster.createdAt],
      ['ended', cluster.endedAt],
    ]),
    '',
    ...table(
      ['AGENT', 'ROLES', 'STATE', 'JOINED'],
      cluster.members.map(({ agentId, roles, state, joinedAt }) => [agentId, roles.join(' '), state, ago(joinedAt)]),
    ),
  ]);
}

function latencyFacts({ communication }: ClusterView): [string, string][] {
  if (!communication) return [];
  return [
    ['mail handed over', latencyText(communication.handedOver)],
    ['mail acked', latencyText(communication.acked)],
  ];
}

function latencyText({ count, p50Ms, p95Ms, p99Ms, withinThreshold }: Latency): string {
  if (p50Ms === null || p95Ms === null || p99Ms === null) return 'none yet';
  const share = withinThreshold === null ? '' : `; ${(withinThreshold * 100).toFixed(1)} % within the threshold`;
  return `${counted(count, 'time')}, p50 ${elapsed(p50Ms)}, p95 ${elapsed(p95Ms)}, p99 ${elapsed(p99Ms)}${share}`;
}

async function dissolve(
  id: string,
  { drain, wait }: { readonly drain?: number; readonly wait?: true },
  command: Command,
): Promise<void> {
  const api = connect(command);
  const accepted = await api.dissolveCluster(id, drain === undefined ? {} : { drainSeconds: drain });
  if (!wait) return showAccepted(command, accepted);
  const ended = await api.waitForOperation(accepted.id);
  requireCompleted(ended);
  show(command, { operation: operationDocument(ended) }, [`Cluster ${id} is dissolved.`]);
}

const documentOf = (cluster: ClusterView) => ({
  id: cluster.id,
  name: cluster.name,
  state: cluster.state,
  epoch: cluster.epoch,
  size: cluster.size,
  coordinator: cluster.coordinator,
  members: cluster.members,
  links: cluster.links,
  requiredCapabilities: cluster.requiredCapabilities,
  labels: cluster.labels,
  stability: cluster.stability.score,
  communication: cluster.communication ?? null,
  operationId: cluster.operationId,
  createdAt: cluster.createdAt,
  activatedAt: cluster.activatedAt,
  endedAt: cluster.endedAt,
});
