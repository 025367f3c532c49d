import type { Command } from 'commander';
import { connect } from './connection.js';
import { show } from './output.js';
import { requestDocument } from './capacity-request-text.js';

export function define(command: Command): void {
  command
    .argument('<request>', 'its id; "requests list --state open" shows those that wait')
    .option('--reason <text>', 'why, for whoever reads it later')
    .action(deny);
}

async function deny(id: string, { reason }: { readonly reason?: string }, command: Command): Promise<void> {
  const request = await connect(command).denyRequest(id, reason);
  show(command, { request: requestDocument(request) }, [
    `${request.id} is denied; its run ends with what it has: cluster-manager operations show ${request.operationId}`,
  ]);
}
