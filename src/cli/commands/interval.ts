import type { Command } from 'commander';
import { apiAction } from '../api-action.js';

const dryRunOption = ['--dry-run', 'only print what it would do'] as const;

interface Options {
  readonly dryRun?: boolean;
}

export function define(command: Command): void {
  command
    .command('formation')
    .description('retry queued formations, repair clusters below their minimum, release expired reservations')
    .option(...dryRunOption)
    .action(runFormation);
  defineScaling(command.command('scaling').description('assess, scale and rebalance all clusters'));
}

export const defineScaling = (command: Command): Command => command.option(...dryRunOption).action(runScaling);

const runFormation = apiAction(async (api, { dryRun = false }: Options) => {
  const document = await api.runFormationInterval({ dryRun });
  return { document, lines: linesOf(document.lines) };
});

const runScaling = apiAction(async (api, { dryRun = false }: Options) => {
  const document = await api.runScalingInterval({ dryRun });
  const { assessed, lines, postponed } = document;
  const rest = postponed > 0 ? `, ${postponed} changes postponed to the next run` : '';
  return { document, lines: [...linesOf(lines), `${assessed} clusters assessed${rest}`] };
});

const linesOf = (lines: readonly string[]): readonly string[] => (lines.length === 0 ? ['Nothing to do.'] : lines);
