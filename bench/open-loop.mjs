/* Sends requests at a rate that does not wait for answers, as users do. */
import { setTimeout as delay } from 'node:timers/promises'

/**
 * Calls `send` at a steady rate (a second) until `isOver`, whether the earlier ones are answered or not. Resolves when
 * all are answered, with one outcome each: what `send` gave, and `ms` from when it was due. So a service that stands
 * still cannot hide it, and neither can a client that is late.
 */
export async function sendSteadily ({ rate, isOver, send }) {
  const outcomes = []
  const startedAt = performance.now()
  const underWay = new Set()
  let mostUnderWay = 0
  for (let turn = 0; !isOver();) {
    const dueTurns = (performance.now() - startedAt) * rate / 1_000
    for (; turn <= dueTurns; turn++) {
      const due = startedAt + turn * 1_000 / rate
      const answered = send(turn).then(outcome => {
        outcomes.push({ ...outcome, ms: performance.now() - due })
        underWay.delete(answered)
      })
      underWay.add(answered)
    }
    mostUnderWay = Math.max(mostUnderWay, underWay.size)
    await delay(1)
  }
  await Promise.all(underWay)
  return { outcomes, mostUnderWay }
}

/** Calls `send` so many at a time until `isOver`: each waits for its answer before the next. */
export async function sendInTurn ({ atOnce, isOver, send }) {
  const outcomes = []
  const startedAt = performance.now()
  let next = 0
  await Promise.all(Array.from({ length: atOnce }, async () => {
    while (!isOver()) {
      const sentAt = performance.now()
      outcomes.push({ ...await send(next++), ms: performance.now() - sentAt })
    }
  }))
  return { outcomes, perSecond: outcomes.length * 1_000 / (performance.now() - startedAt) }
}

/** Says when so many seconds are over. */
export function during (seconds) {
  const endsAt = performance.now() + seconds * 1_000
  return () => performance.now() >= endsAt
}

/** The shares (0 to 1) of the times that are not above the values given back (ms). */
export function percentiles (outcomes, shares) {
  const sorted = outcomes.map(({ ms }) => ms).sort((a, b) => a - b)
  return shares.map(share => sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? NaN)
}

/** How many outcomes have each name. */
export function countBy (outcomes, nameOf) {
  const counts = {}
  for (const outcome of outcomes) {
    const name = nameOf(outcome)
    counts[name] = (counts[name] ?? 0) + 1
  }
  return counts
}
