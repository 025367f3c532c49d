import type { z } from 'zod';
import type { DeepReadonly } from './endpoint.js';

/** A row with all fields of a view, where a field that is text in the view may be a date. */
type RowOf<View> = {
  readonly [Key in keyof View]: string extends View[Key] ? View[Key] | Date : DeepReadonly<View[Key]>;
};

/** The fields of a row that its view has, with dates as ISO 8601 texts. */
export const viewOf = <Schema extends z.ZodObject>(schema: Schema, row: RowOf<z.output<Schema>>): z.output<Schema> =>
  Object.fromEntries(
    Object.keys(schema.shape).map((key) => {
      const value: unknown = row[key as keyof typeof row];
      return [key, value instanceof Date ? value.toISOString() : value];
    }),
  ) as z.output<Schema>;
