import type { Command } from 'commander';
import { checkMachine } from '../../dev-stack/check-machine.js';
import { print } from '../print.js';
import { table } from '../table.js';

export function define(command: Command): void {
  command.action(doctor);
}

async function doctor(_options: object, command: Command): Promise<void> {
  const checks = await checkMachine();
  const failed = checks.filter((check) => !check.ok);
  print(command, {
    document: { ok: failed.length === 0, checks },
    lines: [
      ...table(checks, {
        PART: ({ part }) => part,
        STATE: ({ ok }) => (ok ? 'ok' : 'failed'),
        VERSION: ({ version }) => version,
        FOUND: ({ found, from }) => (from ? `${found} (${from})` : found),
      }),
      ...(failed.length === 0 ? [] : ['']),
      ...failed.map(({ part, fix }) => `${part}: ${fix ?? 'no fix is known'}`),
    ],
  });
  if (failed.length > 0) process.exitCode = 1;
}
