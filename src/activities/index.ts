import { createCommunicationActivities } from './communication/index.js';
import type { ActivityDeps } from './deps.js';
import { createFormationActivities } from './formation/index.js';
import { createScalingActivities } from './scaling/index.js';

/** What a worker brings: its databases, its settings, and, if it likes, how to tell others that there is mail. */
export type WorkerParts = Omit<ActivityDeps, 'messaging'> & { readonly wake?: ActivityDeps['messaging']['wake'] };

/** Every activity a worker serves. */
export const createActivities = ({ wake = () => undefined, ...parts }: WorkerParts) => {
  const messaging = { communication: parts.communication, settings: parts.settings.communication, wake };
  const deps: ActivityDeps = { ...parts, messaging };
  return {
    ...createFormationActivities(deps),
    ...createCommunicationActivities(deps),
    ...createScalingActivities(deps),
  };
};

export type Activities = ReturnType<typeof createActivities>;
export type { ActivityDeps } from './deps.js';
