/** The longest rest after a turn (ms). */
const maxRestMs = 50

/** Of the whole process, as its event loop is. */
const waiting: Array<() => void> = []
/** What goes before them. */
const urgent: Array<() => void> = []
let isServing = false
/** Whether the last piece was urgent. Then the next is another one, if there is one: starts that fail come again. */
let wasUrgent = false

/**
 * Runs work that keeps the event loop for long, when its turn has come. One piece of such work runs at a time, and when
 * there is more, the loop has as much time for everything else before the next one. So many servers that send much
 * delay the others' requests no more than one does. Urgent work goes first, and then each second time.
 */
export function takeTurn (work: () => void, { isUrgent = false } = {}): void {
  const queue = isUrgent ? urgent : waiting
  queue.push(work)
  if (isServing) return
  isServing = true
  setImmediate(serve)
}

/** Resolves when the turn has come for what follows, as with {@link takeTurn}. */
export const heavyTurn = (options?: { isUrgent?: boolean }): Promise<void> =>
  new Promise(resolve => takeTurn(resolve, options))

function next (): (() => void) | undefined {
  const [first, second] = wasUrgent ? [waiting, urgent] : [urgent, waiting]
  const queue = first.length > 0 ? first : second
  wasUrgent = queue === urgent
  return queue.shift()
}

function serve (): void {
  const work = next()
  if (work === undefined) {
    isServing = false
    return
  }
  const isContended = urgent.length + waiting.length > 0
  const begunAt = performance.now()
  work()
  // What the work has resolved runs before this, and counts. So does what else came in meanwhile: others have waited.
  setImmediate(() => {
    if (isContended) setTimeout(serve, Math.min(performance.now() - begunAt, maxRestMs))
    else serve()
  })
}
