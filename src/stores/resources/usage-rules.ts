import type { ManagerConfig } from '../../config/index.js';
import type { UsageRules } from './usage.js';

/** A reading that is this many sample periods old no longer counts. */
const staleAfterPeriods = 3;

/** How samples are smoothed and kept, whether they come by heartbeat or by report. */
export const usageRulesOf = ({ scaling }: Pick<ManagerConfig, 'scaling'>): UsageRules => ({
  halfLifeSeconds: scaling.halfLifeSeconds,
  slotSeconds: scaling.samplePeriodSeconds,
  staleAfterSeconds: staleAfterPeriods * scaling.samplePeriodSeconds,
});
