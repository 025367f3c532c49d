import type { Command } from 'commander';
import { connect } from './connection.js';
import { show } from './output.js';

export function define(command: Command): void {
  command
    .command('formation')
    .description('serve queued requests, repair clusters below their minimum, release what is left over')
    .option('--dry-run', 'only say what would be done')
    .action(formation);
  command
    .command('scaling')
    .description('assess all clusters, scale where something changes, move members between clusters')
    .option('--dry-run', 'only say what would be done')
    .action(scaling);
}

async function formation({ dryRun = false }: { readonly dryRun?: boolean }, command: Command): Promise<void> {
  const report = await connect(command).runFormationInterval({ dryRun });
  show(command, report, report.lines.length === 0 ? ['Nothing to do.'] : report.lines);
}

export async function scaling({ dryRun = false }: { readonly dryRun?: boolean }, command: Command): Promise<void> {
  const report = await connect(command).runScalingInterval({ dryRun });
  const { assessed, lines, postponed } = report;
  show(command, report, [
    ...(lines.length === 0 ? ['Nothing to do.'] : lines),
    `${assessed} clusters assessed${postponed > 0 ? `, ${postponed} changes left to the next run` : ''}`,
  ]);
}
