/** Where a delivery stands: its inbox, and its place there. */
export interface DeliveryKey {
  readonly inboxNo: number;
  readonly sequence: number;
}

/** The id that callers hold: `dl_<inbox>_<sequence>`, both in base 36. It proves nothing; the recipient's token does. */
export const deliveryIdOf = ({ inboxNo, sequence }: DeliveryKey): string =>
  `dl_${inboxNo.toString(36)}_${sequence.toString(36)}`;

/** @returns undefined for a text that was never a delivery's id. */
export function parseDeliveryId(id: string): DeliveryKey | undefined {
  const match = /^dl_([0-9a-z]{1,6})_([0-9a-z]{1,10})$/.exec(id);
  if (!match) return undefined;
  const inboxNo = parseInt(match[1] ?? '', 36);
  const sequence = parseInt(match[2] ?? '', 36);
  return inboxNo <= 0x7fff_ffff && Number.isSafeInteger(sequence) ? { inboxNo, sequence } : undefined;
}
