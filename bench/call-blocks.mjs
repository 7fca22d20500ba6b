/* Blocks of calls, and the processor time that a worker takes for them. */
import { median, post } from './bench.mjs'
import { processorMs } from './processor.mjs'

/**
 * Makes so many requests, each caller one after the other. A caller has a session of `sessions` for itself where there
 * are enough.
 */
export async function makeCalls ({ url, sessions }, { calls, callers = 1, path = '/call-tool', body }) {
  let left = calls
  await Promise.all(Array.from({ length: callers }, async (_, caller) => {
    const session = sessions[caller % sessions.length]
    while (left-- > 0) await post(`${url}${path}`, { session_id: session, ...body })
  }))
}

/** Processor time of a worker for one call (ms), as the mean of a block of calls. */
export async function processorTimeOfCall (service, block) {
  const start = processorMs(service.pid)
  await makeCalls(service, block)
  return (processorMs(service.pid) - start) / block.calls
}

/**
 * Compares two services that take turns in blocks of calls: the median of each one's processor time of a call (ms), and
 * the median of the ratios of the rounds, second to first. A ratio of two blocks in a row is one of the same moment.
 */
export async function compareProcessorTime (services, block, { rounds, warmUp = 2 }) {
  const times = []
  for (let round = -warmUp; round < rounds; round++) {
    // The other one begins in each round: who comes second may find the machine warmer.
    const order = round % 2 === 0 ? [0, 1] : [1, 0]
    const time = []
    for (const index of order) time[index] = await processorTimeOfCall(services[index], block)
    if (round >= 0) times.push(time)
  }
  const [old, now] = [0, 1].map(index => median(times.map(time => time[index])))
  return { old, now, ratio: median(times.map(([old, now]) => now / old)) }
}
