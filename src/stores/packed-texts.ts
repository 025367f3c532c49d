const textOid = 25;

/**
 * A text[] parameter in PostgreSQL's binary form. An array literal would need each quote of each element escaped by the
 * client and unescaped by the server, which for JSON costs more than storing it.
 */
export function packedTexts(values: readonly string[]): Buffer {
  const sizes = values.map((value) => Buffer.byteLength(value));
  const packed = Buffer.allocUnsafe(sizes.reduce((sum, size) => sum + 4 + size, 20));
  // Number of dimensions, nulls or not, element type, number of elements, index of the first.
  let at = 0;
  for (const head of [values.length === 0 ? 0 : 1, 0, textOid, values.length, 1]) at = packed.writeInt32BE(head, at);
  if (values.length === 0) return packed.subarray(0, 12);
  for (const [index, value] of values.entries()) {
    at = packed.writeInt32BE(sizes[index] as number, at);
    at += packed.write(value, at);
  }
  return packed;
}
