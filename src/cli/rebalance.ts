import type { Command } from 'commander';
import { scaling } from './interval.js';

export function define(command: Command): void {
  command.option('--dry-run', 'only say what would be done').action(scaling);
}
