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

/** The medians of the processor time of a call (ms), for services that take turns in blocks of calls. */
export async function compareProcessorTime (services, block, { rounds, warmUp = 2 }) {
  const times = services.map(() => [])
  for (let round = -warmUp; round < rounds; round++) {
    for (const [index, service] of services.entries()) {
      const time = await processorTimeOfCall(service, block)
      if (round >= 0) times[index].push(time)
    }
  }
  return times.map(median)
}
