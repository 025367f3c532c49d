import { mkdirSync } from 'node:fs';
import { dirname } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { buildTemporal } from './build.js';
import { claimFile, releaseFile } from '../processes/pid-lock.js';
import { downloadTemporal } from './download.js';
import { noUsableProgram } from '../find-program.js';
import type { Attempt } from '../find-program.js';
import { cachedTemporalCli, findTemporal, inspectTemporal, oldestTemporalServer } from './programs.js';
import type { TemporalCli } from './programs.js';
import { reporterFor } from '../report.js';
import type { Report } from '../report.js';

type Environment = Readonly<Record<string, string | undefined>>;

/**
 * A Temporal CLI for this machine, downloading or building it into the cache when there is none.
 * @returns undefined when TEMPORAL_ADDRESS names a server elsewhere.
 * @throws ManagerError service_unavailable that names each way tried.
 */
export const ensureTemporal = async (
  environment: Environment,
  report: Report | undefined,
): Promise<TemporalCli | undefined> => {
  const say = reporterFor('temporal', report);
  const address = environment['TEMPORAL_ADDRESS'];
  if (address) {
    say(`server at TEMPORAL_ADDRESS=${address}`);
    return undefined;
  }
  const first = await findTemporal(environment);
  if (first.found) return announce(first.found, say);
  const target = cachedTemporalCli(environment);
  await waitForTurn(target, say);
  try {
    // Another set-up may have made it while this one waited.
    const now = await findTemporal(environment);
    if (now.found) return announce(now.found, say);
    return announce(await obtain(target, environment, first.attempts, say), say);
  } finally {
    releaseFile(`${target}.lock`);
  }
};

const obtain = async (
  target: string,
  environment: Environment,
  before: readonly Attempt[],
  say: ReturnType<typeof reporterFor>,
): Promise<TemporalCli> => {
  const attempts = [...before];
  const ways = [
    { way: 'official download', run: () => downloadTemporal({ target, say }) },
    { way: 'go install', run: () => buildTemporal({ target, environment, say }) },
  ];
  for (const { way, run } of ways) {
    try {
      say(`no Temporal CLI yet: trying ${way}`);
      await run();
      const made = await inspectTemporal(way, target);
      if ('path' in made) return made;
      attempts.push(made);
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error);
      say(`${way}: ${reason}`, 'warn');
      attempts.push({ way, reason });
    }
  }
  throw noUsableProgram(
    'Temporal CLI',
    attempts,
    `Install the Temporal CLI (server ${oldestTemporalServer} or later) or Go 1.25, name a CLI with TEMPORAL_CLI_PATH, or a running server with TEMPORAL_ADDRESS.`,
  );
};

/** Two set-ups at once would compile the same thing twice on the same cores. */
const waitForTurn = async (target: string, say: ReturnType<typeof reporterFor>): Promise<void> => {
  mkdirSync(dirname(target), { recursive: true });
  let told = false;
  for (;;) {
    const holder = claimFile(`${target}.lock`);
    if (!holder) return;
    if (!told) say(`process ${holder.pid} is getting the Temporal CLI; waiting for it`);
    told = true;
    await delay(500);
  }
};

const announce = (found: TemporalCli, say: (message: string) => void): TemporalCli => {
  say(`server ${found.serverVersion} from ${found.from}`);
  return found;
};
