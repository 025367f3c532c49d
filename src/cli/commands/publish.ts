import type { Command } from 'commander';
import { connect } from '../connect.js';
import { addContentOptions, parseContent, type ContentOptions } from '../message-options.js';
import { sentOutput } from '../message-output.js';
import { print } from '../print.js';

export function define(command: Command): void {
  addContentOptions(command.argument('<topic>', "the topic's full name; wildcards are for subscriptions"))
    .addHelpText('after', `\nExample:\n  cluster-manager publish news.sport --type headline --data '{"text": "1:0"}'`)
    .action(publish);
}

async function publish(topic: string, options: ContentOptions, command: Command): Promise<void> {
  const message = { ...parseContent(options), to: { topic } };
  print(command, sentOutput(await connect(command).sendMessages([message])));
}
