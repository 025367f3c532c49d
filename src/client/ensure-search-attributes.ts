import type { Connection } from '@temporalio/client';
import { searchAttributes } from '../contracts/search-attributes.js';

/** Temporal's IndexedValueType for Keyword. */
const keyword = 2;
const alreadyExists = 6;

/**
 * Registers the manager's search attributes that are missing in a namespace. A server that does not allow it (Temporal
 * Cloud) must have them already: see docs/operations.md.
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
