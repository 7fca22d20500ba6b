import { spawnSync } from 'node:child_process'
import { join } from 'node:path'
import t from 'tap'
import { nameOfKey, parseApiKeys } from '../../lib/http/api-keys.ts'

const run = (...args: string[]) =>
  spawnSync(process.execPath, [join(import.meta.dirname, '..', '..', 'scripts', 'api-key.mjs'), ...args], {
    encoding: 'utf8'
  })

t.test('the command prints a key and the entry by which the service knows it', async t => {
  const { status, stdout } = run('billing-2')
  t.equal(status, 0)
  const [key = ''] = /^mcpk_[\w-]{43}$/m.exec(stdout) ?? []
  const [entry = ''] = /^billing-2:[\da-f]{64}$/m.exec(stdout) ?? []
  t.equal(nameOfKey(parseApiKeys(entry) ?? [], key), 'billing-2')
  t.notMatch(run('billing-2').stdout, key, 'each time another one')
})

t.test('a name that the service would refuse is refused', async t => {
  for (const args of [[], [''], ['a b'], ['a', 'b'], ['a:b'], ['x'.repeat(65)]]) {
    const { status, stdout, stderr } = run(...args)
    t.equal(status, 1, JSON.stringify(args))
    t.equal(stdout, '')
    t.match(stderr, /^Say whose key it is, .*\n$/)
  }
})
