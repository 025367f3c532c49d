/**
 * Jain's fairness index, (sum of x)^2 / (n * sum of x^2): 1 when all amounts are equal, 1/n when one has everything.
 * @param amounts >= 0.
 * @returns 1 for an empty list and when all are 0.
 * Source: Jain, Chiu, Hawe, "A Quantitative Measure of Fairness", DEC-TR-301, 1984.
 */
export const jainIndex = (amounts: readonly number[]): number => {
  // Scaled by the largest, so that squares neither overflow nor vanish.
  const largest = amounts.reduce((most, amount) => Math.max(most, amount), 0);
  if (largest === 0) return 1;
  let sum = 0;
  let squares = 0;
  for (const amount of amounts) {
    sum += amount / largest;
    squares += (amount / largest) ** 2;
  }
  return (sum * sum) / (amounts.length * squares);
};
