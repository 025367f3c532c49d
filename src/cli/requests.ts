import type { Command } from 'commander';
import { connect } from './connection.js';
import { ago, cut, duration, show, table } from './output.js';
import { limitOption, moreLine, readPages } from './pages.js';
import { requestDocument } from './capacity-request-text.js';

export function define(command: Command): void {
  command
    .command('list')
    .description('what clusters ask the orchestrator for, the newest first')
    .option('--state <state>', 'only open, granted, denied or expired')
    .option('--cluster <id>', 'only those of this cluster')
    .option(...limitOption)
    .action(list);
}

async function list(
  options: { readonly state?: string; readonly cluster?: string; readonly limit: number },
  command: Command,
): Promise<void> {
  const { limit, state, cluster } = options;
  const api = connect(command);
  const filter = { ...(state ? { state } : {}), ...(cluster ? { clusterId: cluster } : {}) };
  const { items, more } = await readPages(limit, async (query) => {
    const { resourceRequests, nextCursor } = await api.resourceRequests({ ...filter, ...query });
    return { items: resourceRequests, nextCursor };
  });
  const rows = items.map((request) => [
    request.id,
    request.state,
    request.clusterId,
    cut(JSON.stringify(request.need), 80),
    ago(request.openedAt),
    request.state === 'open' ? `${duration(Date.parse(request.deadlineAt) - Date.now())} left` : '',
    request.answeredBy ?? '',
    cut(request.reason, 100),
  ]);
  const headings = ['REQUEST', 'STATE', 'CLUSTER', 'NEED', 'OPENED', 'DEADLINE', 'ANSWERED BY', 'REASON'];
  const lines = rows.length === 0 ? ['No requests.'] : table(headings, rows);
  show(command, { requests: items.map(requestDocument), more }, [...lines, ...moreLine('requests', limit, more)]);
}
