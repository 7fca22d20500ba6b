/* Measures the cost of sealing and opening a session's value, compared with AES-256-GCM alone. */
import { createCipheriv, randomBytes } from 'node:crypto'
import { createSealing } from '../dist/lib/sessions/field-encryption.js'
import { machine, median, ratio, table } from './bench.mjs'

const rounds = Number(process.argv[2] ?? 2_000)
const sizes = [100, 10_000, 1_000_000]
const key = randomBytes(32)
const sealOf = createSealing([{ id: 'k1', key }])
const us = microseconds => `${microseconds < 100 ? microseconds.toFixed(1) : Math.round(microseconds)} µs`

/** AES-256-GCM alone, on bytes that exist already. */
function encrypt (bytes) {
  const cipher = createCipheriv('aes-256-gcm', key, randomBytes(12))
  cipher.update(bytes)
  cipher.final()
  return cipher.getAuthTag()
}

const rows = sizes.map(size => {
  const text = JSON.stringify('x'.repeat(size - 2))
  const bytes = Buffer.from(text)
  const seal = sealOf('mcp_session:demo', '{"version":1}')
  const sealed = seal.seal('p:rows', text)
  const work = {
    bare: () => encrypt(bytes),
    seal: () => seal.seal('p:rows', text),
    open: () => seal.open('p:rows', sealed),
    // The first value of a request also derives the session's own key.
    first: () => sealOf('mcp_session:demo', '{"version":1}').open('p:rows', sealed)
  }
  const times = Object.fromEntries(Object.keys(work).map(name => [name, []]))
  for (let round = 0; round < (size > 100_000 ? rounds / 10 : rounds); round++) {
    for (const [name, run] of Object.entries(work)) {
      const start = performance.now()
      run()
      times[name].push((performance.now() - start) * 1_000)
    }
  }
  const [bare, ...others] = Object.values(times).map(values => median(values))
  return [`${size} bytes`, us(bare), ...others.map(us), ratio(others[0] / bare)]
})

console.log(machine())
table(['p50', 'AES-256-GCM alone', 'seal', 'open', 'derive the key and open', 'seal ÷ alone'], rows)
