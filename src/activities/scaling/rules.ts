import { defaultScalingRules, rulesForUsage, type ScalingRules } from '../../domain/scaling/rules.js';
import type { ActivityDeps } from '../deps.js';

/** The rules that this manager's settings make of the defaults. */
export const rulesOf = ({ resourceUsageRatio, stabilityScore, scaling }: ActivityDeps['settings']): ScalingRules =>
  rulesForUsage(resourceUsageRatio, { ...defaultScalingRules, ...scaling, passScore: stabilityScore });
