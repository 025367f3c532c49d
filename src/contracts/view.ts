import type { z } from 'zod';
import type { DeepReadonly } from './endpoint.js';

/** A row with all fields of a view, where a field that is text in the view may be a date. */
type RowOf<View> = {
  readonly [Key in keyof View]: string extends View[Key] ? View[Key] | Date : DeepReadonly<View[Key]>;
};

const shown = (value: unknown): unknown => (value instanceof Date ? value.toISOString() : value);

/** The fields of a row that its view has, with dates as ISO 8601 texts. */
export const viewOf = <Schema extends z.ZodObject>(schema: Schema, row: RowOf<z.output<Schema>>): z.output<Schema> =>
  Object.fromEntries(
    Object.keys(schema.shape).map((key) => [key, shown(row[key as keyof typeof row])]),
  ) as z.output<Schema>;

/** A row whose dates are the texts that views have. */
export type IsoDates<Row> = {
  readonly [Column in keyof Row]: Date extends Row[Column] ? Exclude<Row[Column], Date> | string : Row[Column];
};

/** Copies a row with its dates as ISO 8601 texts. */
export const isoDates = <Row extends object>(row: Row): IsoDates<Row> =>
  Object.fromEntries(Object.entries(row).map(([column, value]) => [column, shown(value)])) as IsoDates<Row>;
