import { z } from 'zod';

/**
 * One line of text that people read in lists, logs and the Temporal UI: without control characters, line separators, and
 * marks that change the direction of the text after them.
 */
export const printableText = (max: number) =>
  z
    .string()
    .min(1)
    .max(max)
    .regex(
      // eslint-disable-next-line no-control-regex -- they are what is refused
      /^[^\u0000-\u001f\u007f-\u009f\u2028\u2029\u202a-\u202e\u2066-\u2069]*$/,
      'must hold printable characters only: no control characters, line breaks or marks of text direction',
    );
