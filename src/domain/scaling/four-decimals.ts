/** Inputs are rounded before they are used, so that a reader can recalculate a decision from its printed numbers. */
export const fourDecimals = (value: number): number => Math.round(value * 10_000) / 10_000;
