/**
 * Reads something at most once in `maxAgeMs`, however many ask for it: those who ask while it is read get the same
 * outcome, and so do those who ask within `maxAgeMs` after that. A failure is an outcome, too. Has no timer.
 */
export function createRecentReading<Value> (read: () => Promise<Value>, maxAgeMs: number): () => Promise<Value> {
  let latest: Promise<Value> | null = null
  let isUnderWay = false
  let endedAt = -Infinity

  return () => {
    const isRecent = isUnderWay || performance.now() - endedAt < maxAgeMs
    if (latest !== null && isRecent) return latest
    isUnderWay = true
    latest = read().finally(() => {
      isUnderWay = false
      endedAt = performance.now()
    })
    return latest
  }
}
