import { createCommunicationActivities } from './communication/index.js';
import type { ActivitySettings, FormationDeps } from './deps.js';
import { createFormationActivities } from './formation/index.js';
import { createScalingActivities } from './scaling/index.js';
import { settleOperation } from './shared/settle-operation.js';
import type { MessagingDeps } from '../messaging/deps.js';

/** What a worker provides. The two functions are optional where nothing is notified and nothing is resumed. */
export interface WorkerParts extends Pick<FormationDeps, 'clusters' | 'communication' | 'resources'> {
  readonly settings: ActivitySettings;
  readonly notify?: MessagingDeps['notify'];
  readonly resumeAbandonedOperations?: FormationDeps['resumeAbandonedOperations'];
}

/** Every activity that a worker serves. */
export const createActivities = ({
  notify = () => undefined,
  resumeAbandonedOperations = () => Promise.resolve([]),
  ...parts
}: WorkerParts) => {
  const { clusters, communication, resources, settings } = parts;
  const messaging = { communication, settings: () => settings.communication, notify };
  return {
    ...createFormationActivities({
      clusters,
      communication,
      resources,
      messaging,
      settings,
      resumeAbandonedOperations,
    }),
    ...createCommunicationActivities({ clusters, communication, messaging, settings }),
    ...createScalingActivities({ clusters, communication, resources, messaging, settings }),
    settleOperation: settleOperation({ clusters }),
  };
};

export type Activities = ReturnType<typeof createActivities>;
export type { ActivitySettings } from './deps.js';
