import { randomFillSync } from 'node:crypto';
import { v7 as uuidv7 } from 'uuid';

const bytesEach = 16;
const drawn = new Uint8Array(bytesEach * 256);
let used = drawn.length;

/** Random bytes for one id, out of a draw for many: a system call for each message would cost more than its routing. */
function random(): Uint8Array {
  if (used === drawn.length) {
    randomFillSync(drawn);
    used = 0;
  }
  used += bytesEach;
  return drawn.subarray(used - bytesEach, used);
}

/** `msg_` and a UUID of version 7: those made later sort later, to the millisecond. */
export const newMessageId = (): string => `msg_${uuidv7({ rng: random })}`;
