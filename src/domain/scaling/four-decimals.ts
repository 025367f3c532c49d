/** Numbers are rounded before they are calculated with, so that who reads a decision gets the same results from it. */
export const fourDecimals = (value: number): number => Math.round(value * 10_000) / 10_000;
