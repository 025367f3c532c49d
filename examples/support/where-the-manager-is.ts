import { stateFolder } from '../../src/dev-stack/paths.js';
import { readRunningStack } from '../../src/dev-stack/state/running-stack.js';

/** The environment's say first, then the manager that `npm start` runs in this folder. */
export function whereTheManagerIs() {
  const running = readRunningStack(stateFolder());
  const say = (name: string, otherwise = ''): string => process.env[name] || running?.env[name] || otherwise;
  return {
    url: say('CLUSTER_MANAGER_URL', 'http://127.0.0.1:8420'),
    enrolmentToken: say('CLUSTER_MANAGER_ENROLMENT_TOKEN'),
    temporalAddress: say('TEMPORAL_ADDRESS', '127.0.0.1:7233'),
  };
}
