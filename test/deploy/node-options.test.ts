import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { nodeOptions } from '../../scripts/environment.mjs'
import { root } from '../support/paths.ts'
import { startService } from '../support/service.ts'

const script = join(root, 'scripts', 'start.mjs')
const read = (path: string) => readFileSync(join(root, path), 'utf8')

t.test('whatever starts the service gives Node the same options', async t => {
  const command = ['node', ...nodeOptions, 'scripts/start.mjs']
  const { scripts } = JSON.parse(read('package.json')) as { scripts: { start: string } }
  t.equal(scripts.start, `exec ${command.join(' ')}`)
  t.match(read('Dockerfile'), `\nCMD ${JSON.stringify(command).replaceAll(',', ', ')}\n`)
  t.match(read('deploy/mcp-client@.service'), `/usr/bin/${command.join(' ')}'\n`)
  t.match(read('docs/deployment.md'), `\n${command.join(' ')} `)
})

const skip = process.platform !== 'linux' && 'threads are counted in /proc'
t.test('one thread helps to collect garbage', { skip }, async t => {
  const [ours, four] = [await threadsOf(t, nodeOptions), await threadsOf(t, ['--v8-pool-size=4'])]
  t.equal(four - ours, 3, `${ours} threads, and ${four} as Node has it`)
})

async function threadsOf (t: Test, options: string[]): Promise<number> {
  const { pid } = await startService(t, {}, { command: [...options, script] })
  return readdirSync(`/proc/${pid}/task`).length
}
