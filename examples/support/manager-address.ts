import { stateFolder } from '../../src/dev-stack/paths.js';
import { readRunningStack } from '../../src/dev-stack/state/running-stack.js';

/** Reads each value from the environment, else from the manager that `npm start` runs in this folder. */
export function managerAddress() {
  const running = readRunningStack(stateFolder());
  const read = (name: string, fallback = ''): string => process.env[name] || running?.env[name] || fallback;
  return {
    url: read('CLUSTER_MANAGER_URL', 'http://127.0.0.1:8420'),
    enrolmentToken: read('CLUSTER_MANAGER_ENROLMENT_TOKEN'),
    temporalAddress: read('TEMPORAL_ADDRESS', '127.0.0.1:7233'),
  };
}
