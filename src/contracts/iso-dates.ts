/** A row whose dates are the texts that views have. */
export type IsoDates<Row> = {
  readonly [Column in keyof Row]: Date extends Row[Column] ? Exclude<Row[Column], Date> | string : Row[Column];
};

/** Copies a row with its dates as ISO 8601 texts. */
export const isoDates = <Row extends object>(row: Row): IsoDates<Row> =>
  Object.fromEntries(
    Object.entries(row).map(([column, value]) => [column, value instanceof Date ? value.toISOString() : value]),
  ) as IsoDates<Row>;
