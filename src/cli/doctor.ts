import type { Command } from 'commander';
import { checkMachine } from '../dev-stack/check-machine.js';
import { show, table } from './output.js';

export function define(command: Command): void {
  command.action(doctor);
}

async function doctor(_options: object, command: Command): Promise<void> {
  const checks = await checkMachine();
  const failed = checks.filter((check) => !check.ok);
  const rows = checks.map(({ part, ok, found, version, from }) => [
    part,
    ok ? 'ok' : 'failed',
    version ?? '',
    from ? `${found} (${from})` : found,
  ]);
  show(command, { ok: failed.length === 0, checks }, [
    ...table(['PART', 'STATE', 'VERSION', 'FOUND'], rows),
    ...(failed.length === 0 ? [] : ['', ...failed.map(({ part, fix }) => `${part}: ${fix ?? 'no remedy is known'}`)]),
  ]);
  if (failed.length > 0) process.exitCode = 1;
}
