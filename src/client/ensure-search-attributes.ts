import type { Connection } from '@temporalio/client';
import { searchAttributes } from '../contracts/search-attributes.js';

/** Temporal's IndexedValueType for Keyword. */
const keyword = 2;
const alreadyExists = 6;

/**
 * Registers our search attributes where they are missing, so that any Temporal server can be used as it is.
 * A server that does not let us (a cloud namespace) must have them already: see docs/operations.md.
 */
export async function ensureSearchAttributes(
  connection: Pick<Connection, 'operatorService'>,
  namespace: string,
): Promise<void> {
  const { customAttributes } = await connection.operatorService.listSearchAttributes({ namespace });
  const missing = searchAttributes.filter((name) => customAttributes[name] === undefined);
  if (missing.length === 0) return;
  try {
    await connection.operatorService.addSearchAttributes({
      namespace,
      searchAttributes: Object.fromEntries(missing.map((name) => [name, keyword])),
    });
  } catch (error) {
    // Another worker that started at the same moment registered them.
    if ((error as { code?: number }).code !== alreadyExists) throw error;
  }
}
