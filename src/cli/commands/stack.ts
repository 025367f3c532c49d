import { join, relative } from 'node:path';
import type { Command } from '@commander-js/extra-typings';
import { defined } from '../../contracts/defined.js';
import { ManagerError } from '../../contracts/errors.js';
import { checkMachine } from '../../dev-stack/check-machine.js';
import { stateFolder } from '../../dev-stack/paths.js';
import type { StackEvent } from '../../dev-stack/report.js';
import { startStack, type Stack } from '../../dev-stack/stack.js';
import { globalOptions } from '../connect.js';
import { duration } from '../format.js';
import { wholeNumber } from '../option-parsers.js';
import { print, printing, type Output } from '../print.js';
import { facts, table } from '../table.js';

const start = (command: Command): unknown =>
  command
    .option('--port <port>', "the API's port (default: CLUSTER_MANAGER_PORT or 8420)", wholeNumber(1, 65_535))
    .option('--workers <count>', 'worker processes', wholeNumber(1, 64), 1)
    .option('--show-token', 'also print the admin token and the enrolment token')
    .action(async ({ showToken, ...options }, self) => {
      const stateDir = stateFolder();
      const startedMs = Date.now();
      const json = globalOptions(self).json === true;
      const { signal, stopped } = stopSignals();
      const stack = await startUnlessStopped(options, stateDir, { signal, json });
      if (!stack) return;
      print(self, readyOutput(stack, { stateDir, readyMs: Date.now() - startedMs, showToken }));
      await stopped;
      if (!json) process.stdout.write('\nStopping.\n');
      await stack.stop();
      if (!json) process.stdout.write('Stopped.\n');
    });

function readyOutput(
  { urls, env }: Stack,
  { stateDir, readyMs, showToken }: { stateDir: string; readyMs: number; showToken: true | undefined },
): Output {
  const folder = relative('.', stateDir) || '.';
  const tokenFile = join(folder, 'secrets.json');
  const adminToken = showToken && env['CLUSTER_MANAGER_ADMIN_TOKEN'];
  const enrolmentToken = showToken && env['CLUSTER_MANAGER_ENROLMENT_TOKEN'];
  const lines = [
    '',
    `Ready after ${duration(readyMs)}.`,
    '',
    ...facts({
      '  API': urls.api,
      '  Temporal UI': urls.temporalUi,
      '  tokens': showToken ? null : `${tokenFile} (or --show-token)`,
      '  admin token': adminToken,
      '  enrolment token': enrolmentToken,
      '  logs': join(folder, 'logs'),
    }),
    '',
    'In another terminal: npx cluster-manager status. Here: ctrl-C stops everything.',
  ];
  const document = {
    ready: true,
    pid: process.pid,
    url: urls.api,
    temporalUiUrl: urls.temporalUi,
    stateFolder: stateDir,
    tokenFile,
    readySeconds: readyMs / 1000,
    adminToken,
    enrolmentToken,
  };
  return { document, lines };
}

/** @returns undefined when the user stopped it before it was ready, which is not an error. */
async function startUnlessStopped(
  { port, workers }: { readonly port?: number; readonly workers: number },
  stateDir: string,
  { signal, json }: { readonly signal: AbortSignal; readonly json: boolean },
): Promise<Stack | undefined> {
  const apiPort = port ?? parsePort(process.env['CLUSTER_MANAGER_PORT']);
  try {
    return await startStack({
      stateDir,
      services: 'all',
      ports: 'preferred',
      workers,
      signal,
      report: (event) => (json ? process.stderr : process.stdout).write(`${eventLine(event, json)}\n`),
      ...defined({ apiPort }),
    });
  } catch (error) {
    if (signal.aborted) return undefined;
    throw error;
  }
}

function parsePort(text: string | undefined): number | undefined {
  if (!text) return undefined;
  const port = Number(text);
  if (/^\d+$/.test(text) && port >= 1 && port <= 65_535) return port;
  throw new ManagerError(
    'invalid_configuration',
    `CLUSTER_MANAGER_PORT is "${text}"; allowed: a port from 1 to 65535 that no other program uses`,
  );
}

const eventLine = (event: StackEvent, json: boolean): string =>
  json ? JSON.stringify(event) : `${event.part.padEnd(10)} ${event.message}`;

/**
 * `stopped` resolves on the first SIGINT, SIGTERM or SIGHUP. A second signal exits at once; the next start ends the
 * processes that were left running.
 */
function stopSignals(): { readonly signal: AbortSignal; readonly stopped: Promise<void> } {
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

const doctor = (command: Command): unknown =>
  command.action(
    printing(async () => {
      const checks = await checkMachine();
      const failed = checks.filter((check) => !check.ok);
      if (failed.length > 0) process.exitCode = 1;
      const lines = [
        ...table(checks, {
          PART: ({ part }) => part,
          STATE: ({ ok }) => (ok ? 'ok' : 'failed'),
          VERSION: ({ version }) => version,
          FOUND: ({ found, from }) => (from ? `${found} (${from})` : found),
        }),
        ...(failed.length === 0 ? [] : ['']),
        ...failed.map(({ part, fix }) => `${part}: ${fix ?? 'no fix is known'}`),
      ];
      return { document: { ok: failed.length === 0, checks }, lines };
    }),
  );

export const commands = { start, doctor };
