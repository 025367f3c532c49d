import { ManagerError } from '../../contracts/errors.js';

/** The largest amount: in thousandths it is still an exact integer. */
const largest = 1e12;

/**
 * Amounts are stored in thousandths, so the least amount above 0 is 0.001.
 * @throws ManagerError `invalid_request` when the amount is not 0 to 1e12, or not above 0 where it must be.
 */
export function requireAmount(name: string, amount: number, { aboveZero = false } = {}): void {
  const least = aboveZero ? 0.001 : 0;
  if (amount >= least && amount <= largest) return;
  throw new ManagerError(
    'invalid_request',
    `${name} is ${amount}; an amount is a number of ${aboveZero ? '0.001' : '0'} to ${largest}`,
    { problems: [{ path: name, message: `must be ${aboveZero ? '0.001' : '0'} to ${largest}` }] },
  );
}

/** A lease or a deadline in seconds. @throws ManagerError `invalid_request` when it is not above 0, or above a year. */
export function requireSeconds(name: string, seconds: number): void {
  if (seconds > 0 && seconds <= 31_536_000) return;
  throw new ManagerError(
    'invalid_request',
    `${name} is ${seconds}; it is a number of seconds, above 0 and at most a year`,
    {
      problems: [{ path: name, message: 'must be above 0 and at most 31536000' }],
    },
  );
}

/** To thousandths, as amounts are stored. */
export const roundAmount = (amount: number): number => Math.round(amount * 1000) / 1000;
