import type { Command } from 'commander';
import { connect } from './connection.js';
import { addContentOptions, contentOf, type ContentOptions } from './message-options.js';
import { showSent } from './message-text.js';

export function define(command: Command): void {
  addContentOptions(command.argument('<topic>', 'its full name; wildcards are for subscriptions'))
    .addHelpText('after', `\nExample:\n  cluster-manager publish news.sport --type headline --data '{"text": "1:0"}'`)
    .action(publish);
}

async function publish(topic: string, options: ContentOptions, command: Command): Promise<void> {
  const [result] = await connect(command).sendMessages([{ ...contentOf(options), to: { topic } }]);
  showSent(command, result);
}
