import type { Command } from 'commander';
import { connect } from './connection.js';
import { show } from './output.js';
import { requestDocument } from './capacity-request-text.js';

export function define(command: Command): void {
  command
    .argument('<request>', 'its id; "requests list --state open" shows those that wait')
    .option('--reason <text>', 'why, for whoever reads it later')
    .action(grant);
}

async function grant(id: string, { reason }: { readonly reason?: string }, command: Command): Promise<void> {
  const request = await connect(command).grantRequest(id, reason);
  show(command, { request: requestDocument(request) }, [
    `${request.id} is granted; its run looks again: cluster-manager operations show ${request.operationId}`,
  ]);
}
