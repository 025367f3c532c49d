import { randomFillSync } from 'node:crypto';
import { v7 as uuidv7 } from 'uuid';

const bytesPerId = 16;
const buffer = new Uint8Array(bytesPerId * 256);
let used = buffer.length;

/** Random bytes for one id, from a buffer for 256: a system call for each message would cost more than its routing. */
function randomBytes(): Uint8Array {
  if (used === buffer.length) {
    randomFillSync(buffer);
    used = 0;
  }
  used += bytesPerId;
  return buffer.subarray(used - bytesPerId, used);
}

/** `msg_` and a UUID of version 7, which sorts by time to the millisecond. */
export const newMessageId = (): string => `msg_${uuidv7({ rng: randomBytes })}`;
