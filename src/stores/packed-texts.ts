const textOid = 25;

/**
 * A text[] parameter in PostgreSQL's binary form: an array literal would have every quote of every element escaped here
 * and undone there, which for JSON costs more than to store it.
 */
export function packedTexts(values: readonly string[]): Buffer {
  const sizes = values.map((value) => Buffer.byteLength(value));
  const packed = Buffer.allocUnsafe(sizes.reduce((sum, size) => sum + 4 + size, 20));
  // Dimensions, whether there are nulls, the elements' type, how many, the index of the first.
  let at = 0;
  for (const head of [values.length === 0 ? 0 : 1, 0, textOid, values.length, 1]) at = packed.writeInt32BE(head, at);
  if (values.length === 0) return packed.subarray(0, 12);
  for (const [index, value] of values.entries()) {
    at = packed.writeInt32BE(sizes[index] as number, at);
    at += packed.write(value, at);
  }
  return packed;
}
