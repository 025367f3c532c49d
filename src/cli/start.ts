import { join, relative } from 'node:path';
import type { Command } from 'commander';
import { ManagerError } from '../contracts/errors.js';
import { stateFolder } from '../dev-stack/paths.js';
import type { StackEvent } from '../dev-stack/report.js';
import { startStack, type Stack } from '../dev-stack/stack.js';
import { wholeNumber } from './arguments.js';
import { duration, facts, globalsOf, show } from './output.js';

interface Options {
  readonly port?: number;
  readonly workers: number;
  readonly showToken?: true;
}

export function define(command: Command): void {
  command
    .option('--port <port>', "the API's port (default: CLUSTER_MANAGER_PORT or 8420)", wholeNumber(1, 65_535))
    .option('--workers <count>', 'worker processes', wholeNumber(1, 64), 1)
    .option('--show-token', 'also print the admin token and the enrolment token')
    .action(start);
}

async function start(options: Options, command: Command): Promise<void> {
  const stateDir = stateFolder();
  const startedMs = Date.now();
  const json = globalsOf(command).json === true;
  const { signal, stopped } = untilStopped();
  const stack = await startUnlessStopped(options, stateDir, { signal, json });
  if (!stack) return;
  const tokens = join(relative('.', stateDir) || '.', 'secrets.json');
  const secrets = {
    adminToken: stack.env['CLUSTER_MANAGER_ADMIN_TOKEN'],
    enrolmentToken: stack.env['CLUSTER_MANAGER_ENROLMENT_TOKEN'],
  };
  const document = {
    ready: true,
    pid: process.pid,
    url: stack.urls.api,
    temporalUiUrl: stack.urls.temporalUi,
    stateFolder: stateDir,
    tokenFile: tokens,
    readySeconds: (Date.now() - startedMs) / 1000,
    ...(options.showToken ? secrets : {}),
  };
  show(command, document, [
    '',
    `Ready after ${duration(Date.now() - startedMs)}.`,
    '',
    ...facts([
      ['  API', stack.urls.api],
      ['  Temporal UI', stack.urls.temporalUi],
      ['  tokens', options.showToken ? null : `${tokens} (or --show-token)`],
      ['  admin token', options.showToken ? secrets.adminToken : null],
      ['  enrolment token', options.showToken ? secrets.enrolmentToken : null],
      ['  logs', join(relative('.', stateDir) || '.', 'logs')],
    ]),
    '',
    'In another terminal: npx cluster-manager status. Here: ctrl-C stops everything.',
  ]);
  await stopped;
  if (!json) process.stdout.write('\nStopping.\n');
  await stack.stop();
  if (!json) process.stdout.write('Stopped.\n');
}

/** @returns undefined when the user stopped it while it started: that is no failure. */
async function startUnlessStopped(
  { port, workers }: Options,
  stateDir: string,
  { signal, json }: { readonly signal: AbortSignal; readonly json: boolean },
): Promise<Stack | undefined> {
  const chosen = port ?? portOf(process.env['CLUSTER_MANAGER_PORT']);
  try {
    return await startStack({
      stateDir,
      services: 'all',
      ports: 'preferred',
      workers,
      signal,
      report: (event) => (json ? process.stderr : process.stdout).write(`${lineOf(event, json)}\n`),
      ...(chosen === undefined ? {} : { apiPort: chosen }),
    });
  } catch (error) {
    if (signal.aborted) return undefined;
    throw error;
  }
}

function portOf(text: string | undefined): number | undefined {
  if (!text) return undefined;
  const port = Number(text);
  if (/^\d+$/.test(text) && port >= 1 && port <= 65_535) return port;
  throw new ManagerError(
    'invalid_configuration',
    `CLUSTER_MANAGER_PORT is "${text}"; allowed: a port from 1 to 65535 that no other program uses`,
  );
}

const lineOf = (event: StackEvent, json: boolean): string =>
  json ? JSON.stringify(event) : `${event.part.padEnd(10)} ${event.message}`;

/**
 * Resolves at the first SIGINT, SIGTERM or SIGHUP. A second one ends this process at once; the next start ends the processes
 * that it left running.
 */
function untilStopped(): { readonly signal: AbortSignal; readonly stopped: Promise<void> } {
  const controller = new AbortController();
  const stopped = new Promise<void>((resolve) => {
    const stop = (): void => {
      if (controller.signal.aborted) process.exit(130);
      controller.abort();
      resolve();
    };
    for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(name, stop);
  });
  return { signal: controller.signal, stopped };
}
