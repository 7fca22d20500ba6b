export interface Backoff {
  /** Pause after the first failure (ms). */
  firstMs: number
  /** Longest pause (ms). */
  maxMs: number
}

/** Pause after a number of failures in a row (ms): none after none, then it doubles with each failure up to `maxMs`. */
export const backoffMs = (failures: number, { firstMs, maxMs }: Backoff): number =>
  failures === 0 ? 0 : Math.min(firstMs * 2 ** (failures - 1), maxMs)
