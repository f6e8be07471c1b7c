// The same lines as `support/report.py` writes.
import assert from 'node:assert/strict';

export async function test(name, body) {
  try {
    await within(40_000, body());
    say('ok', name);
  } catch (why) {
    say('failed', `${name}: ${why.stack ?? why}`);
  }
}

export function say(kind, text) {
  console.log(kind, text.replace(/\s+/g, ' ').slice(0, 500));
}

export function within(milliseconds, promise) {
  let timer;
  const late = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new Error(`nothing within ${milliseconds} ms`)), milliseconds);
  });
  return Promise.race([promise, late]).finally(() => clearTimeout(timer));
}

export { assert };
