import type { Command } from 'commander';
import { connect } from './connection.js';
import { show } from './output.js';
import { receiptDocument, receiptLines } from './receipt-text.js';

export function define(command: Command): void {
  command.command('show <id>').description('who of those a message was for has acked it').action(showOne);
}

async function showOne(id: string, _options: object, command: Command): Promise<void> {
  const receipt = await connect(command).receipt(id);
  show(command, { receipt: receiptDocument(receipt) }, receiptLines(receipt));
}
