import { noneWorked } from './resolution.js';
import { findTemporal } from './resolve-temporal.js';
import type { TemporalCli } from './resolve-temporal.js';
import { reporterFor } from './stack-event.js';
import type { Report } from './stack-event.js';

type Environment = Readonly<Record<string, string | undefined>>;

export const ensureTemporal = async (
  environment: Environment,
  report: Report | undefined,
): Promise<TemporalCli | undefined> => {
  const say = reporterFor('temporal', report);
  if (environment['TEMPORAL_ADDRESS']) return undefined;
  const { found, attempts } = await findTemporal(environment);
  if (!found) throw noneWorked('Temporal CLI', attempts, 'Install the Temporal CLI.');
  say(`server ${found.serverVersion} from ${found.from}`);
  return found;
};
