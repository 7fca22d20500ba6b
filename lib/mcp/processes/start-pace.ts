/** How long a start takes on this machine at this time. */
export interface StartPace {
  /** A start that takes longer than this waits for something, and leaves the processor to others (ms). */
  readonly slowMs: number
  /** Remembers how long a start took that succeeded (ms). */
  add: (durationMs: number) => void
}

const leastMs = 1_000
const mostMs = 5_000
/** How many times longer than usual a start is that no longer computes. */
const factor = 3
const maxRemembered = 8

/**
 * Measures the starts that succeed. On a busy or slow machine all of them take long, and none of them is waiting: if
 * they were taken for that, ever more would start at once. The quick ones among the last few tell: some servers do wait
 * for something in each start, such as `npx` for its download.
 */
export function createStartPace (): StartPace {
  const durations: number[] = []

  return {
    get slowMs () {
      const sorted = durations.toSorted((one, other) => one - other)
      const usual = sorted[Math.floor((sorted.length - 1) / 4)] ?? 0
      return Math.min(Math.max(usual * factor, leastMs), mostMs)
    },

    add (durationMs) {
      durations.push(durationMs)
      if (durations.length > maxRemembered) durations.shift()
    }
  }
}
