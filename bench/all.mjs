/* Runs the benchmarks one after the other, each in a process of its own, and ends the one that runs when told to. */
import { once } from 'node:events'
import { join } from 'node:path'
import { endWithParent, startTied } from '../scripts/signals.mjs'

let running
let isStopping = false
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) {
  process.on(signal, () => {
    isStopping = true
    process.exitCode = 1
    running?.kill('SIGTERM')
  })
}
endWithParent()

for (const name of ['call-tool', 'upstreams', 'burst', 'sessions', 'sealing']) {
  if (isStopping) break
  running = startTied(process.execPath, [join(import.meta.dirname, `${name}.mjs`)], { stdio: 'inherit' })
  const [code] = await once(running, 'exit')
  if (code === 0) continue
  process.exitCode = code ?? 1
  break
}
