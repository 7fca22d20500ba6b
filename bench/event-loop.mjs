/*
 * Loaded into a service before it starts: writes each second how long its event loop was held up at the longest, to the
 * file of EVENT_LOOP_FILE, a line of JSON each. SIGWINCH collects garbage, where Node lets a program do so.
 */
import { appendFileSync } from 'node:fs'
import { monitorEventLoopDelay } from 'node:perf_hooks'

const file = process.env.EVENT_LOOP_FILE
const resolution = 10
const histogram = monitorEventLoopDelay({ resolution })
histogram.enable()
process.on('SIGWINCH', () => globalThis.gc?.())

setInterval(() => {
  // A loop that nothing holds up shows the resolution itself.
  const longestMs = Math.max(0, Math.round(histogram.max / 1e6) - resolution)
  histogram.reset()
  appendFileSync(file, `${JSON.stringify({ at: Date.now(), longestMs })}\n`)
}, 1_000).unref()
