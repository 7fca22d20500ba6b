import { spawnSync } from 'node:child_process'
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { nodeOptions } from '../../scripts/environment.mjs'
import { fixture, root } from '../support/paths.ts'
import { startService } from '../support/service.ts'
import { until } from '../support/wait.ts'

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

t.test('V8 makes no object in the old generation at once', async t => {
  const probe = ['--allow-natives-syntax', '--no-concurrent-recompilation', '--import', fixture('young-objects.mjs')]
  const { pid, output } = await startService(t, {}, { command: [...nodeOptions, ...probe, script] })
  process.kill(pid, 'SIGUSR2')
  await until(() => output().includes('young of 100'), 'the probe has looked')
  t.match(output(), /^100 young of 100$/m)

  // The control: it would else, on Node 20 for sure.
  const plain = spawnSync(process.execPath, [...probe, '-e', 'process.emit("SIGUSR2")'], { encoding: 'utf8' })
  if (process.version.startsWith('v20.')) t.match(plain.stdout, /^0 young of 100$/m)
  else t.match(plain.stdout, / young of 100$/m)
})

async function threadsOf (t: Test, options: string[]): Promise<number> {
  const { pid } = await startService(t, {}, { command: [...options, script] })
  return readdirSync(`/proc/${pid}/task`).length
}
