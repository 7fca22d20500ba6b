import { setImmediate as nextTurn } from 'node:timers/promises'

/** What uses something that is to be released. */
export interface Uses {
  /** Counts a use until it has settled, and gives its outcome. */
  add: <Value>(use: Promise<Value>) => Promise<Value>
  /** Resolves when all have settled, and those that followed on one of them, too. */
  settled: () => Promise<void>
}

export function createUses (): Uses {
  const uses = new Set<Promise<unknown>>()
  return {
    async add (use) {
      uses.add(use)
      try {
        return await use
      } finally {
        uses.delete(use)
      }
    },

    async settled () {
      while (uses.size > 0) {
        await Promise.allSettled(uses)
        await nextTurn() // whoever waited for one may begin the next
      }
    }
  }
}
