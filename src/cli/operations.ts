import type { Command } from 'commander';
import { connect } from './connection.js';
import { operationDocument, operationLines, showAccepted } from './operation-text.js';
import { ago, duration, show, table } from './output.js';
import { limitOption, moreLine, readPages } from './pages.js';

export function define(command: Command): void {
  command
    .command('list')
    .description('operations, the newest first')
    .option('--state <state>', 'only running, queued, completed, compensated, refused or cancelled')
    .option('--cluster <id>', 'only those of this cluster')
    .option(...limitOption)
    .action(list);
  command.command('show <id>').description('one operation with its steps').action(showOne);
  command.command('cancel <id>').description('stop an operation and undo what it did').action(cancel);
}

async function list(
  options: { readonly state?: string; readonly cluster?: string; readonly limit: number },
  command: Command,
): Promise<void> {
  const { limit, state, cluster } = options;
  const api = connect(command);
  const filter = { ...(state ? { state } : {}), ...(cluster ? { clusterId: cluster } : {}) };
  const { items, more } = await readPages(limit, async (query) => {
    const { operations, nextCursor } = await api.operations({ ...filter, ...query });
    return { items: operations, nextCursor };
  });
  const rows = items.map((operation) => [
    operation.id,
    operation.type,
    operation.state,
    ago(operation.createdAt),
    operation.endedAt === null ? '' : duration(Date.parse(operation.endedAt) - Date.parse(operation.createdAt)),
    operation.clusterId ?? '',
    operation.error?.code ?? '',
  ]);
  const headings = ['OPERATION', 'TYPE', 'STATE', 'ASKED', 'TOOK', 'CLUSTER', 'ERROR'];
  const lines = rows.length === 0 ? ['No operations.'] : table(headings, rows);
  show(command, { operations: items.map(operationDocument), more }, [...lines, ...moreLine('operations', limit, more)]);
}

async function showOne(id: string, _options: object, command: Command): Promise<void> {
  const operation = await connect(command).operation(id);
  show(command, { operation: operationDocument(operation) }, operationLines(operation));
}

async function cancel(id: string, _options: object, command: Command): Promise<void> {
  showAccepted(command, await connect(command).cancelOperation(id));
}
