import { Cancellation } from '../../cancellation.ts'

/** Work that a connection is kept open for when its request is over. */
export interface Lingering {
  /** `work` never rejects. */
  add: (work: Promise<void>) => void
  /** Resolves when all of it is done, also what is added meanwhile, and after `maxMs` in any case. */
  settled: () => Promise<void>
}

/** A server that does not answer holds up nothing for longer (ms). */
const maxMs = 3_000

export function createLingering (): Lingering {
  const works = new Set<Promise<void>>()
  return {
    add (work) {
      works.add(work)
      work.finally(() => works.delete(work))
    },
    async settled () {
      if (works.size === 0) return
      const late = new Cancellation()
      const timer = setTimeout(() => late.abort(), maxMs)
      const isLate = new Promise<void>(resolve => late.signal.addEventListener('abort', () => resolve()))
      while (works.size > 0 && !late.signal.aborted) await Promise.race([Promise.all(works), isLate])
      clearTimeout(timer)
    }
  }
}
